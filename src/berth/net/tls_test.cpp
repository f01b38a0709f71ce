#include "berth/net/tls.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

#include "berth/async/sync_wait.hpp"
#include "berth/net/http_server.hpp"
#include "berth/telemetry/metrics.hpp"
#include "support/raw_client.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

struct CloseFile {
    void operator()(FILE* file) const noexcept { std::fclose(file); }
};

/// A fresh P-256 key and a certificate for `name` that it signed itself.
TlsContext::Files write_certificate(const std::filesystem::path& folder, const std::string& name) {
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, void (*)(X509*)> certificate(X509_new(), X509_free);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    auto* subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), subject);
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    const TlsContext::Files files{folder / (name + ".crt"), folder / (name + ".key")};
    const std::unique_ptr<FILE, CloseFile> public_file(std::fopen(files.certificate.c_str(), "w")), private_file(std::fopen(files.key.c_str(), "w"));
    PEM_write_X509(public_file.get(), certificate.get());
    PEM_write_PrivateKey(private_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return files;
}

/// The client's side over a real connection.
class SecureClient {
public:
    explicit SecureClient(std::uint16_t port, std::string_view protocols = "", int most_version = 0) : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), socket_(port) {
        if (most_version != 0) SSL_CTX_set_max_proto_version(context_.get(), most_version);
        SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
        if (most_version != 0 && most_version < TLS1_2_VERSION) SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
        ssl_.reset(SSL_new(context_.get()));
        if (!protocols.empty()) SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(protocols.data()), static_cast<unsigned>(protocols.size()));
        SSL_set_fd(ssl_.get(), socket_.descriptor());
        connected_ = SSL_connect(ssl_.get()) == 1;
    }
    bool connected() const { return connected_; }
    void send(std::string_view bytes) { SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())); }
    void say_end() { SSL_shutdown(ssl_.get()); }
    /// Reads until `count` bytes are there or the server ends.
    std::string read(std::size_t count) {
        std::string all;
        std::array<char, 65536> part;
        while (all.size() < count) {
            const int got = SSL_read(ssl_.get(), part.data(), static_cast<int>(part.size()));
            if (got <= 0) break;
            all.append(part.data(), static_cast<std::size_t>(got));
        }
        return all;
    }
    bool ended_well() { return SSL_get_error(ssl_.get(), SSL_read(ssl_.get(), &rest_, 1)) == SSL_ERROR_ZERO_RETURN; }
    std::string name() const {
        const std::unique_ptr<X509, void (*)(X509*)> shown(SSL_get1_peer_certificate(ssl_.get()), X509_free);
        std::array<char, 64> text{};
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, text.data(), text.size());
        return text.data();
    }
    std::string protocol() const {
        const unsigned char* chosen = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
        return {reinterpret_cast<const char*>(chosen), size};
    }

private:
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
    test::RawClient socket_;
    struct FreeSsl {
        void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    };
    std::unique_ptr<SSL, FreeSsl> ssl_;
    bool connected_ = false;
    char rest_ = 0;
};

class Echo final : public HttpHandler {
public:
    Task<HttpResponse> handle(HttpRequest& request) override {
        HttpResponse response;
        response.route = "/echo";
        response.body = (request.secure ? "secure " : "plain ") + std::string(request.path) + " " + request.body;
        if (request.path == "/big") response.body.assign(6 << 20, 'x');
        return ready_task(std::move(response));
    }
};

class Tls : public ::testing::Test {
protected:
    void start(TlsContext::Files files) {
        auto context = TlsContext::load(std::move(files));
        ASSERT_TRUE(context) << context.error().message();
        HttpServerOptions options;
        options.port = 0;
        options.tls = context_ = std::move(*context);
        auto server = HttpServer::open(*reactors_, options, echo_, metrics_);
        ASSERT_TRUE(server);
        server_ = std::move(*server);
        server_->serve();
    }
    void TearDown() override {
        if (server_) sync_wait(server_->close(std::chrono::milliseconds(0)));
    }

    testing::TempDir folder_;
    std::unique_ptr<Reactors> reactors_ = Reactors::start(2);
    MetricRegistry metrics_;
    Echo echo_;
    std::shared_ptr<TlsContext> context_;
    std::unique_ptr<HttpServer> server_;
};

TEST_F(Tls, RequestsAreAnsweredOverIt) {
    start(write_certificate(folder_, "a"));
    EXPECT_TRUE(server_->url().starts_with("https://127.0.0.1:"));
    SecureClient client(server_->port(), "\x02h2\x08http/1.1");
    ASSERT_TRUE(client.connected());
    EXPECT_EQ(client.protocol(), "http/1.1");
    EXPECT_EQ(client.name(), "a");
    for (int i = 0; i < 3; ++i) {
        client.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        const auto answer = client.read(1);
        EXPECT_TRUE(answer.ends_with("secure /p abc")) << answer;
    }
    client.send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(client.read(1).ends_with("secure /last "));
    EXPECT_TRUE(client.ended_well());
}

TEST_F(Tls, LargeBodiesGoBothWays) {
    start(write_certificate(folder_, "a"));
    SecureClient client(server_->port());
    ASSERT_TRUE(client.connected());
    const std::string body(3 << 20, 'y');
    client.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    client.send(body);
    EXPECT_GE(client.read(body.size()).size(), body.size());
    client.send("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_GE(client.read(std::size_t{7} << 20).size(), std::size_t{6} << 20);
}

TEST_F(Tls, ARequestThatComesWithTheEndIsAnswered) {
    start(write_certificate(folder_, "a"));
    SecureClient client(server_->port());
    ASSERT_TRUE(client.connected());
    client.send("GET /x HTTP/1.0\r\n\r\n");
    client.say_end();
    EXPECT_TRUE(client.read(1 << 20).ends_with("secure /x "));
}

TEST_F(Tls, OldVersionsAndOtherProtocolsAreRefused) {
    start(write_certificate(folder_, "a"));
    EXPECT_FALSE(SecureClient(server_->port(), "", TLS1_1_VERSION).connected());
    EXPECT_TRUE(SecureClient(server_->port(), "", TLS1_2_VERSION).connected());
    EXPECT_FALSE(SecureClient(server_->port(), "\x02h2").connected());
}

TEST_F(Tls, WhatIsNotTlsEndsTheConnection) {
    start(write_certificate(folder_, "a"));
    for (const std::string_view bytes : {std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string_view("\x16\x03\x01\xff\xff\x01\0\0", 8), std::string_view("\x80\x2e\x01\0\x02", 5)}) {
        test::RawClient client(server_->port());
        client.send(bytes);
        client.end_sending();
        while (!client.closed()) client.drop();
    }
    EXPECT_TRUE(SecureClient(server_->port()).connected());
}

TEST_F(Tls, ANewCertificateIsForNewConnectionsAndABadOneChangesNothing) {
    start(write_certificate(folder_, "a"));
    SecureClient old(server_->port());
    ASSERT_TRUE(old.connected());
    const auto second = write_certificate(folder_, "b");
    ASSERT_TRUE(context_->reload(second));
    EXPECT_EQ(SecureClient(server_->port()).name(), "b");
    old.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(old.read(1).ends_with("secure /x "));
    const auto mixed = context_->reload({folder_ / "a.crt", folder_ / "b.key"});
    ASSERT_FALSE(mixed);
    EXPECT_NE(mixed.error().message().find("b.key"), std::string::npos);
    EXPECT_EQ(SecureClient(server_->port()).name(), "b");
}

TEST_F(Tls, FilesThatCannotBeUsedAreNamed) {
    const auto files = write_certificate(folder_, "a");
    const auto text = folder_.write("text", "no certificate");
    for (const auto& [wrong, named] : {std::pair{TlsContext::Files{folder_ / "none", files.key}, "none"}, std::pair{TlsContext::Files{files.certificate, folder_ / "gone"}, "gone"},
                                       std::pair{TlsContext::Files{text, files.key}, "text"}, std::pair{TlsContext::Files{files.certificate, text}, "text"}}) {
        const auto loaded = TlsContext::load(wrong);
        ASSERT_FALSE(loaded);
        EXPECT_EQ(loaded.error().code(), Code::config_error);
        EXPECT_NE(loaded.error().message().find(named), std::string::npos) << loaded.error().message();
    }
}

}  // namespace
}  // namespace berth
