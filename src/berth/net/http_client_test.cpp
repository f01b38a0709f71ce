#include "berth/net/http_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>

#include "berth/base/format.hpp"
#include "support/temp_dir.hpp"
#include "support/test_authority.hpp"
#include "support/test_server.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;
using test::TestPeer;
using test::TestServer;
using ::testing::HasSubstr;

constexpr const char* public_address = "93.184.216.34";

/// Everything but addresses of special use is allowed; hosts named `forbidden` are not.
class PublicOnly final : public FetchChecks {
public:
    Result<void> check(std::string_view, const Url& url) const override {
        if (url.host == "forbidden") return fail(Code::capability_denied, "not this host");
        return {};
    }
    Result<void> check(std::string_view, const Url& url, const IpAddress& address) const override {
        if (address.classify() != AddressClass::global) return fail(Code::capability_denied, format("{} is {}", url.host, name(address.classify())));
        return {};
    }
};

class Names final : public NameResolver {
public:
    void resolve(std::string host, Done done) override {
        ++look_ups;
        const auto found = known.find(host);
        if (found == known.end()) return done(fail(Code::upstream, "no such host"));
        std::vector<IpAddress> addresses;
        auto& turns = found->second;
        for (const auto& text : turns.front()) addresses.push_back(*IpAddress::parse(text));
        if (turns.size() > 1) turns.erase(turns.begin());
        done(std::move(addresses));
    }
    std::map<std::string, std::vector<std::vector<std::string>>> known;  // by host: the answers to look-ups, one after the other; the last stays
    std::atomic<int> look_ups = 0;
};

/// Leads every public address to the server of the test and counts what leaves.
class ToTestServer final : public Connector {
public:
    Result<Endpoint> reach(const Endpoint& checked) override {
        ++packets;
        last = format("{}:{}", checked.address.text(), checked.port);
        return Endpoint{*IpAddress::parse("127.0.0.1"), port};
    }
    std::uint16_t port = 0;
    std::atomic<int> packets = 0;
    std::string last;
};

struct Answer {
    int status = 0;
    std::string body;
    std::string error;  // code and message; empty: it succeeded
    HttpResponseHead head;
};

class HttpClientTest : public ::testing::Test {
protected:
    HttpClientTest() { names_->known["example.com"] = {{public_address}}; }

    void serve(TestServer::Serve with, SSL_CTX* tls = nullptr) {
        server_ = std::make_unique<TestServer>(std::move(with), tls);
        connector_->port = server_->port();
    }
    /// Answers every request of a connection in the same way.
    void answer(std::string bytes) {
        serve([bytes](TestPeer& peer) {
            while (!peer.head().empty()) {
                if (!peer.send(bytes)) return;
            }
        });
    }
    HttpClient& client() {
        if (!client_) {
            HttpClientOptions options;
            options.ca_file = ca_file_;
            options.resolver = names_;
            options.connector = connector_;
            auto created = HttpClient::create(std::move(options));
            EXPECT_TRUE(created) << created.error().message();
            client_ = std::move(*created);
        }
        return *client_;
    }
    std::shared_ptr<Fetch> start(FetchRequest request) {
        auto started = client().start(std::move(request), std::make_shared<PublicOnly>(), [this] {
            const std::lock_guard lock(mutex_);
            changed_.notify_all();
        });
        if (started) return *started;
        refused_ = format("{}: {}", name(started.error().code()), started.error().message());
        return nullptr;
    }
    template <class F>
    void wait(F until) {
        std::unique_lock lock(mutex_);
        // The waker takes this mutex too: it is not held while the fetch is asked.
        while (true) {
            lock.unlock();
            if (until()) return;
            lock.lock();
            changed_.wait_for(lock, 10ms);
        }
    }
    Answer finish(const std::shared_ptr<Fetch>& fetch) {
        Answer got;
        if (fetch == nullptr) {
            got.error = refused_;
            return got;
        }
        const auto failed = [&] {
            got.error = format("{}: {}", name(fetch->error().code()), fetch->error().message());
            return got;
        };
        wait([&] { return fetch->head() != Fetch::State::pending; });
        if (fetch->head() == Fetch::State::failed) return failed();
        got.head = fetch->response();
        got.status = got.head.status;
        while (true) {
            std::uint8_t part[4096];
            std::size_t count = 0;
            auto read = Fetch::Read::pending;
            wait([&] { return (read = fetch->read(part, count)) != Fetch::Read::pending; });
            if (read == Fetch::Read::failed) return failed();
            if (read == Fetch::Read::end) return got;
            got.body.append(reinterpret_cast<const char*>(part), count);
        }
    }
    FetchRequest request(std::string_view url, std::string method = "GET") {
        FetchRequest made;
        made.method = std::move(method);
        made.url = *Url::parse(url);
        return made;
    }
    Answer get(std::string_view url) { return finish(start(request(url))); }
    int packets() const { return connector_->packets; }

    std::shared_ptr<Names> names_ = std::make_shared<Names>();
    std::shared_ptr<ToTestServer> connector_ = std::make_shared<ToTestServer>();
    std::string ca_file_;
    std::string refused_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::unique_ptr<HttpClient> client_;
    std::unique_ptr<TestServer> server_;
};

TEST_F(HttpClientTest, GetsAnAnswerAndKeepsTheConnection) {
    std::string seen;
    serve([&](TestPeer& peer) {
        for (auto head = peer.head(); !head.empty(); head = peer.head()) {
            seen = head;
            peer.send("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    auto first = request("http://example.com/path?q=1");
    first.fields = {{"Accept", "text/plain"}, {"Connection", "upgrade"}, {"Host", "evil"}, {"Transfer-Encoding", "chunked"}};
    const auto answer = finish(start(first));
    EXPECT_EQ(answer.error, "");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_EQ(answer.head.field("x-a"), "b");
    EXPECT_EQ(seen, "GET /path?q=1 HTTP/1.1\r\nHost: example.com\r\nAccept: text/plain\r\n\r\n");
    EXPECT_EQ(connector_->last, "93.184.216.34:80");
    EXPECT_EQ(get("http://example.com/again").body, "hello");
    EXPECT_EQ(server_->connections(), 1);
    EXPECT_EQ(get("http://example.com:8080/other-port").body, "hello");
    EXPECT_EQ(server_->connections(), 2);
}

TEST_F(HttpClientTest, AConnectionIsUsedAgainOnlyForTheSameHostAndAddress) {
    answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    names_->known["other.example"] = {{public_address}};
    names_->known["moves.example"] = {{public_address}, {"93.184.216.35"}};
    for (const char* url : {"http://example.com/", "http://other.example/", "http://moves.example/", "http://moves.example/"}) EXPECT_EQ(get(url).status, 200) << url;
    EXPECT_EQ(server_->connections(), 4);
    EXPECT_EQ(connector_->last, "93.184.216.35:80");
}

TEST_F(HttpClientTest, AKeptConnectionThatEndedIsReplaced) {
    serve([](TestPeer& peer) {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    EXPECT_EQ(get("http://example.com/").body, "ok");
    EXPECT_EQ(get("http://example.com/").body, "ok");
    EXPECT_EQ(server_->connections(), 2);
}

TEST_F(HttpClientTest, NothingLeavesForAnAddressThatIsNotAllowed) {
    answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    names_->known["inside.example"] = {{"10.0.0.7"}};
    names_->known["meta.example"] = {{"169.254.169.254"}};
    names_->known["mapped.example"] = {{"::ffff:127.0.0.1"}};
    for (const char* url : {"http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/meta-data/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://0.0.0.0/",
                            "http://inside.example/", "http://meta.example/", "http://mapped.example/", "http://forbidden/"}) {
        EXPECT_THAT(get(url).error, HasSubstr("capability_denied")) << url;
    }
    EXPECT_EQ(packets(), 0);
    EXPECT_EQ(server_->connections(), 0);
}

TEST_F(HttpClientTest, ANameThatTurnsPrivateIsRefusedTheSecondTime) {
    answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    names_->known["rebinds.example"] = {{public_address}, {"127.0.0.1"}};
    EXPECT_EQ(get("http://rebinds.example/").status, 200);
    EXPECT_EQ(packets(), 1);
    EXPECT_EQ(names_->look_ups, 1);
    EXPECT_THAT(get("http://rebinds.example/").error, HasSubstr("rebinds.example is loopback"));
    EXPECT_EQ(packets(), 1);
}

TEST_F(HttpClientTest, OfSeveralAddressesOnlyTheAllowedAreTried) {
    answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    names_->known["mixed.example"] = {{"127.0.0.1", "10.1.1.1", public_address}};
    EXPECT_EQ(get("http://mixed.example/").status, 200);
    EXPECT_EQ(packets(), 1);
    EXPECT_EQ(connector_->last, "93.184.216.34:80");
}

TEST_F(HttpClientTest, RedirectsAreCheckedLikeRequests) {
    serve([](TestPeer& peer) {
        for (auto head = peer.head(); !head.empty(); head = peer.head()) {
            const auto from = head.find(' ') + 1;
            const auto target = head.substr(from, head.find(' ', from) - from);
            const std::string to = target == "/loopback" ? "http://127.0.0.1:8080/" : target == "/forbidden" ? "http://forbidden/" : target == "/metadata" ? "http://169.254.169.254/"
                                   : target == "/file" ? "file:///etc/passwd" : target == "/loop" ? "/loop" : "";
            if (to.empty()) {
                peer.send(format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", head.size(), head));
            } else {
                peer.send(format("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", to));
            }
        }
    });
    const auto follow = [&](std::string_view url, unsigned most, std::string method = "GET") {
        auto made = request(url, std::move(method));
        made.redirects = most;
        return finish(start(made));
    };
    EXPECT_THAT(follow("http://example.com/loopback", 5).error, HasSubstr("127.0.0.1 is loopback"));
    EXPECT_THAT(follow("http://example.com/metadata", 5).error, HasSubstr("metadata"));
    EXPECT_THAT(follow("http://example.com/forbidden", 5).error, HasSubstr("not this host"));
    EXPECT_THAT(follow("http://example.com/file", 5).error, HasSubstr("no address"));
    EXPECT_THAT(follow("http://example.com/loop", 3).error, HasSubstr("more than 3 times"));
    EXPECT_EQ(connector_->last, "93.184.216.34:80");
    EXPECT_EQ(packets(), server_->connections());
    EXPECT_EQ(follow("http://example.com/loop", 0).status, 302);
    EXPECT_EQ(follow("http://example.com/loop", 5, "DELETE").status, 302);
}

TEST_F(HttpClientTest, ARedirectToAnotherOriginTakesNoCredentialsAlong) {
    names_->known["second.example"] = {{public_address}};
    serve([](TestPeer& peer) {
        for (auto head = peer.head(); !head.empty(); head = peer.head()) {
            if (head.starts_with("GET /first")) {
                peer.send("HTTP/1.1 301 Moved\r\nLocation: //second.example/x\r\nContent-Length: 0\r\n\r\n");
            } else {
                peer.send(format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", head.size(), head));
            }
        }
    });
    auto made = request("http://example.com/first");
    made.redirects = 1;
    made.fields = {{"Authorization", "Bearer secret"}, {"Cookie", "a=b"}, {"X-Kept", "1"}};
    const auto answer = finish(start(made));
    EXPECT_EQ(answer.body, "GET /x HTTP/1.1\r\nHost: second.example\r\nX-Kept: 1\r\n\r\n");
}

TEST_F(HttpClientTest, TheEnvironmentChangesNothing) {
    for (const char* variable : {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"}) ::setenv(variable, "http://127.0.0.1:1", 1);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(get("http://example.com/").body, "ok");
    EXPECT_EQ(connector_->last, "93.184.216.34:80");
    for (const char* variable : {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"}) ::unsetenv(variable);
}

TEST_F(HttpClientTest, BodiesAreSentAnnouncedOrInChunks) {
    serve([](TestPeer& peer) {
        for (auto head = peer.head(); !head.empty(); head = peer.head()) {
            const auto body = head.find("Transfer-Encoding: chunked") != std::string::npos ? peer.until("\r\n0\r\n\r\n") : peer.bytes(5);
            peer.send(format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
        }
    });
    for (const bool announced : {true, false}) {
        auto made = request("http://example.com/", "POST");
        made.has_body = true;
        if (announced) made.body_size = 5;
        const auto fetch = start(made);
        ASSERT_TRUE(fetch);
        fetch->write(as_bytes("he"));
        wait([&] { return fetch->room() == 64 * 1024; });
        fetch->write(as_bytes("llo"));
        fetch->finish();
        const auto answer = finish(fetch);
        EXPECT_EQ(answer.error, "");
        if (announced) {
            EXPECT_EQ(answer.body, "hello");
        } else {
            EXPECT_THAT(answer.body, ::testing::AnyOf("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"));
        }
    }
    EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, AConnectionIsKeptWhenTheAnswerComesBeforeTheEndOfABodyIsTold) {
    serve([](TestPeer& peer) {
        for (auto head = peer.head(); !head.empty(); head = peer.head()) {
            peer.bytes(5);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    for (int i = 0; i < 2; ++i) {
        auto made = request("http://example.com/", "POST");
        made.has_body = true;
        made.body_size = 5;
        const auto fetch = start(made);
        ASSERT_TRUE(fetch);
        fetch->write(as_bytes("hello"));
        EXPECT_EQ(finish(fetch).body, "ok");
        fetch->finish();
    }
    EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTest, ABodyThatIsNotAsAnnouncedEndsTheRequest) {
    serve([](TestPeer& peer) {
        peer.head();
        peer.closed();
    });
    for (const std::string_view body : {"too long", "s"}) {
        auto made = request("http://example.com/", "PUT");
        made.has_body = true;
        made.body_size = 3;
        const auto fetch = start(made);
        fetch->write(as_bytes(body));
        fetch->finish();
        EXPECT_THAT(finish(fetch).error, HasSubstr("3 bytes that were announced"));
    }
}

TEST_F(HttpClientTest, AnAnswerBeforeTheBodyIsWholeIsTaken) {
    serve([](TestPeer& peer) {
        peer.head();
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
        peer.closed();
    });
    auto made = request("http://example.com/", "POST");
    made.has_body = true;
    const auto answer = finish(start(made));
    EXPECT_EQ(answer.status, 413);
    EXPECT_EQ(answer.body, "no");
    EXPECT_EQ(client().idle_connections(), 0u);
}

TEST_F(HttpClientTest, AnswersThatAreNotSoundFail) {
    const std::pair<const char*, const char*> cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "differ"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", "both"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "other than chunked"},
        {"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "CR LF"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "within its answer"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "within its answer"},
        {"HTTP/1.1 101 Switching\r\n\r\n", "protocol"},
        {"HTTP/1.1 99 Odd\r\n\r\n", "status"},
        {"ICY 200 OK\r\n\r\n", "status line"},
        {"", "without an answer"},
    };
    for (const auto& [bytes, expected] : cases) {
        serve([bytes = std::string(bytes)](TestPeer& peer) {
            peer.head();
            peer.send(bytes);
        });
        const auto answer = get("http://example.com/");
        EXPECT_THAT(answer.error, HasSubstr("upstream")) << bytes;
        EXPECT_THAT(answer.error, HasSubstr(expected)) << bytes;
    }
}

TEST_F(HttpClientTest, LimitsOfHeadAndBodyHold) {
    answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x'));
    auto made = request("http://example.com/");
    made.max_body = 100;
    EXPECT_EQ(finish(start(made)).body.size(), 100u);
    made.max_body = 99;
    EXPECT_THAT(finish(start(made)).error, HasSubstr("output_too_large"));
    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + std::string(100, 'x') + "\r\n0\r\n\r\n");
    EXPECT_THAT(finish(start(made)).error, HasSubstr("output_too_large"));
    answer("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n");
    EXPECT_THAT(get("http://example.com/").error, HasSubstr("upstream"));
    made = request("http://example.com/");
    made.fields = {{"X", "a\r\nHost: b"}};
    EXPECT_THAT(finish(start(made)).error, HasSubstr("bad_input"));
    made.fields = {{"X Y", "a"}};
    EXPECT_THAT(finish(start(made)).error, HasSubstr("bad_input"));
    EXPECT_THAT(finish(start(request("http://example.com/", "GET /"))).error, HasSubstr("bad_input"));
}

TEST_F(HttpClientTest, ReadingPausesUntilSomebodyTakesTheAnswer) {
    static const std::string part(64 * 1024, 'x');  // the peer may still hold it when the test has ended
    serve([&](TestPeer& peer) {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        for (int i = 0; i < 128 && peer.send(part); ++i) {}
    });
    const auto fetch = start(request("http://example.com/"));
    wait([&] { return fetch->bytes_received() >= 256 * 1024; });
    EXPECT_LT(fetch->bytes_received(), 300u * 1024);
    EXPECT_EQ(finish(fetch).body.size(), 128 * part.size());
}

TEST_F(HttpClientTest, ClosingEndsTheConnection) {
    std::atomic<bool> gone = false;
    serve([&](TestPeer& peer) {
        peer.head();
        gone = peer.closed();
        gone.notify_all();
    });
    auto fetch = start(request("http://example.com/"));
    wait([&] { return server_->connections() == 1; });
    fetch.reset();
    gone.wait(false);
    EXPECT_TRUE(gone);
}

TEST_F(HttpClientTest, AServerThatSaysNothingIsGivenUp) {
    serve([](TestPeer& peer) {
        peer.head();
        peer.closed();
    });
    auto made = request("http://example.com/");
    made.first_byte_timeout = 5ms;
    EXPECT_THAT(finish(start(made)).error, HasSubstr("took longer than 0.005 s"));
}

class HttpClientTlsTest : public HttpClientTest {
protected:
    void serve_as(const char* names) {
        if (tls_ != nullptr) SSL_CTX_free(tls_);
        tls_ = authority_.server(names);
        serve([](TestPeer& peer) {
            while (!peer.head().empty()) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
        }, tls_);
    }
    void trust() {
        ca_file_ = (folder_.path() / "ca.pem").string();
        authority_.write(ca_file_);
    }
    ~HttpClientTlsTest() override {
        client_.reset();
        server_.reset();
        if (tls_ != nullptr) SSL_CTX_free(tls_);
    }

    berth::testing::TempDir folder_;
    test::TestAuthority authority_;
    SSL_CTX* tls_ = nullptr;
};

TEST_F(HttpClientTlsTest, ATrustedCertificateForTheHostIsAccepted) {
    trust();
    serve_as("DNS:example.com");
    EXPECT_EQ(get("https://example.com/").body, "secret");
    EXPECT_EQ(connector_->last, "93.184.216.34:443");
    EXPECT_EQ(get("https://example.com/").body, "secret");
    EXPECT_EQ(server_->connections(), 1);
}

TEST_F(HttpClientTlsTest, AnyOtherCertificateIsRefused) {
    serve_as("DNS:example.com");
    EXPECT_THAT(get("https://example.com/").error, HasSubstr("the certificate of example.com is not accepted"));  // nobody vouches for it
    client_.reset();
    trust();
    for (const char* names : {"DNS:example.org", "DNS:*.com", "DNS:*.example.com", "IP:93.184.216.34"}) {
        serve_as(names);
        EXPECT_THAT(get("https://example.com/").error, HasSubstr("not accepted")) << names;
    }
    serve_as("IP:93.184.216.34");
    EXPECT_EQ(get("https://93.184.216.34/").body, "secret");
}

TEST_F(HttpClientTlsTest, AFileWithoutCertificatesIsAConfigurationError) {
    HttpClientOptions options;
    options.ca_file = (folder_.path() / "missing.pem").string();
    const auto created = HttpClient::create(std::move(options));
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().code(), Code::config_error);
}

}  // namespace
}  // namespace berth
