#include "berth/net/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "berth/async/offload.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/net/body_pipe.hpp"
#include "berth/net/listener.hpp"
#include "berth/telemetry/metrics.hpp"
#include "support/raw_client.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;
using test::RawClient;

/// One part, and then nothing until the client goes.
class Endless final : public HttpBodySource {
public:
    Task<Result<std::string>> next(CancelToken gone) override {
        if (!std::exchange(begun_, true)) co_return std::string("begun");
        co_await Reactor::current()->sleep_for(1h, gone);
        co_return std::unexpected(gone.error());
    }
    bool is_endless() const noexcept override { return true; }

private:
    bool begun_ = false;
};

/// Answers with what it saw; `/asked` asks for its body, `/refused` does not. `/wait` answers only when its call is cancelled, so does `/unread`, which takes its body in parts and reads none; `/compute` keeps its
/// thread until it is released.
class Echo final : public HttpHandler {
public:
    Task<HttpResponse> handle(HttpRequest& request) override {
        HttpResponse response;
        response.route = "/echo";
        response.content_type = "text/plain";
        if (request.coming != nullptr && (request.path == "/unread" || request.path == "/whole")) request.coming->begin_parts();
        if (request.coming != nullptr && request.path == "/asked") {
            if (auto taken = co_await request.coming->take_whole(); !taken) co_return error_response(taken.error(), "id", Detail::exposed);
        }
        if (request.path == "/wait" || request.path == "/unread") {
            ++waiting;
            waiting.notify_all();
            co_await Reactor::current()->sleep_for(1h, request.cancel);
            cause = request.cancel.cause();
            ++cancelled;
            cancelled.notify_all();
            response.status = request.cancel.error().code() == Code::shutting_down ? 503 : 499;
        } else if (request.path == "/whole") {
            request.parts->want_whole();
            std::string part;
            auto state = BodyPipe::State::pending;
            while (state != BodyPipe::State::broken && state != BodyPipe::State::ended) {
                state = request.parts->take(1 << 20, part);
                if (state == BodyPipe::State::pending) co_await Reactor::current()->yield();
            }
            if (state == BodyPipe::State::broken) co_return error_response(*request.parts->error(), "id", Detail::exposed);
        } else if (request.path == "/compute") {
            co_await run_guest(profile, [&] { released.wait(false); });
        } else if (request.path == "/endless") {
            response.source = std::make_unique<Endless>();
        } else if (request.path.starts_with("/status/")) {
            response.status = static_cast<std::uint16_t>(std::stoi(std::string(request.path.substr(8))));
        } else if (request.path == "/big") {
            response.body.assign(8 << 20, 'x');
        } else {
            response.body = format("{} {} {}", request.method, request.path, request.body);
        }
        co_return response;
    }
    bool asks_for_body(const HttpRequest& request) const noexcept override { return request.path == "/unread" || request.path == "/whole" || request.path == "/asked" || request.path == "/refused"; }
    GuestProfile profile;
    std::atomic<bool> released = false;
    std::atomic<int> waiting = 0;
    std::atomic<int> cancelled = 0;
    std::atomic<CancelCause> cause = CancelCause::none;
};

class HttpServerTest : public testing::Test {
protected:
    void start(HttpServerOptions options = {}) {
        options.port = 0;
        auto opened = HttpServer::open(*reactors_, options, echo_, metrics_);
        ASSERT_TRUE(opened) << opened.error().message();
        server_ = std::move(*opened);
        server_->serve();
    }
    bool close(std::chrono::milliseconds grace = 0ms) { return sync_wait(std::exchange(server_, nullptr)->close(grace)); }
    void TearDown() override {
        if (server_) sync_wait(server_->close(0ms));
    }
    std::string exchange(std::string_view request) {
        RawClient client(server_->port());
        client.send(request);
        const auto answer = client.answer();
        return answer ? format("{} {}", answer->status, answer->body) : "closed";
    }

    std::unique_ptr<Reactors> reactors_ = Reactors::start(2);
    MetricRegistry metrics_;
    Echo echo_;
    std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
    start();
    RawClient client(server_->port());
    for (int i = 0; i < 3; ++i) {
        client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        const auto answer = client.answer();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
        EXPECT_EQ(answer->body, "POST /a abc");
        EXPECT_EQ(answer->field("X-Content-Type-Options"), "nosniff");
        EXPECT_EQ(answer->field("Content-Type"), "text/plain");
        EXPECT_FALSE(answer->field("Date").empty());
    }
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
    start();
    RawClient client(server_->port());
    std::string all;
    for (int i = 0; i < 50; ++i) all += format("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
    client.send(all);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(client.answer()->body, format("GET /{} ", i));
}

TEST_F(HttpServerTest, ManyConnectionsAreAnsweredTogetherAndEachInItsOrder) {
    start();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int c = 0; c < 80; ++c) clients.push_back(std::make_unique<RawClient>(server_->port()));
    for (int round = 0; round < 5; ++round) {
        for (std::size_t c = 0; c < clients.size(); ++c) {
            std::string some;
            for (int i = 0; i < 3; ++i) some += format("GET /{}/{}/{} HTTP/1.1\r\nHost: x\r\n{}\r\n", c, round, i, round == 4 && i == 2 ? "Connection: close\r\n" : "");
            clients[c]->send(some);
        }
        for (std::size_t c = 0; c < clients.size(); ++c) {
            for (int i = 0; i < 3; ++i) {
                const auto answer = clients[c]->answer();
                ASSERT_TRUE(answer) << c << " " << round << " " << i;
                EXPECT_EQ(answer->body, format("GET /{}/{}/{} ", c, round, i));
            }
        }
    }
    for (auto& client : clients) EXPECT_FALSE(client->answer());
}

TEST_F(HttpServerTest, RequestsThatCameWithOneThatComputesAreAnsweredBeforeIt) {
    reactors_ = Reactors::start(1);
    start();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int c = 0; c < 6; ++c) {
        clients.push_back(std::make_unique<RawClient>(server_->port()));
        clients.back()->send("GET /first HTTP/1.1\r\nHost: x\r\n\r\n");
        ASSERT_TRUE(clients.back()->answer());
    }
    std::promise<void> sent;
    reactors_->at(0).call_soon([all = sent.get_future().share()] { all.wait(); });  // so that the loop is told of them together
    clients[0]->send("GET /compute HTTP/1.1\r\nHost: x\r\n\r\n");
    for (std::size_t c = 1; c < clients.size(); ++c) clients[c]->send("GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
    sent.set_value();
    for (std::size_t c = 1; c < clients.size(); ++c) {
        const auto answer = clients[c]->answer();
        EXPECT_TRUE(answer && answer->body == "GET /second ") << c;
    }
    echo_.released = true;
    echo_.released.notify_all();
    EXPECT_TRUE(clients[0]->answer());
}

TEST_F(HttpServerTest, ARequestMayArriveByteByByte) {
    start();
    RawClient client(server_->port());
    for (const char byte : std::string_view("POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")) client.send({&byte, 1});
    EXPECT_EQ(client.answer()->body, "POST /b hi");
}

TEST_F(HttpServerTest, LargeBodiesPassBothWays) {
    start();
    RawClient client(server_->port());
    const std::string body(3 << 20, 'y');
    client.send(format("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.size()));
    client.send(body);
    EXPECT_EQ(client.answer()->body.size(), body.size() + 8);
    client.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.answer()->body.size(), std::size_t{8} << 20);
}

TEST_F(HttpServerTest, ContinueIsSentWhenItIsExpected) {
    start();
    RawClient client(server_->port());
    client.send("POST /d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(client.answer()->status, 100);
    client.send("ok");
    EXPECT_EQ(client.answer()->body, "POST /d ok");
}

TEST_F(HttpServerTest, ABodyThatTheHandlerAsksForComesWhole) {
    start();
    RawClient client(server_->port());
    const std::string body(3 << 20, 'y');
    for (int round = 0; round < 2; ++round) {
        client.send(format("POST /asked HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.size()));
        client.send(body);
        EXPECT_EQ(client.answer()->body.size(), body.size() + 12);
        client.send("POST /asked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
        client.send("0\r\n\r\n");
        EXPECT_EQ(client.answer()->body, "POST /asked hi");
        client.send("POST /asked HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
        EXPECT_EQ(client.answer()->status, 100);
        client.send("ok");
        EXPECT_EQ(client.answer()->body, "POST /asked ok");
    }
    const auto text = metrics_.prometheus_text();
    EXPECT_NE(text.find(format("berth_http_request_body_bytes_sum{{method=\"POST\",route=\"/echo\",status=\"200\"}} {}", 2 * (body.size() + 4))), std::string::npos) << text;
}

TEST_F(HttpServerTest, ABodyThatIsAskedForAndWrongIsTheHandlersToAnswer) {
    HttpServerOptions options;
    options.limits.body = 10;
    options.body_timeout = 1ms;
    start(options);
    EXPECT_TRUE(exchange("POST /asked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n").starts_with("413"));
    EXPECT_TRUE(exchange("POST /asked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n").starts_with("400"));
    EXPECT_TRUE(exchange("POST /asked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012").starts_with("408"));
}

TEST_F(HttpServerTest, WhatIsAnsweredWithoutItsBodyIsNotAskedForIt) {
    start();
    for (const std::string_view framing : {"Content-Length: 2", "Content-Length: 100000", "Transfer-Encoding: chunked"}) {
        RawClient client(server_->port());
        client.send(format("POST /refused HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{}\r\n\r\n", framing));
        const auto answer = client.answer();
        ASSERT_TRUE(answer) << framing;
        EXPECT_EQ(answer->status, 200) << framing;
        EXPECT_EQ(answer->field("Connection"), "close") << framing;
        client.end_sending();
        EXPECT_TRUE(client.closed()) << framing;
    }
}

TEST_F(HttpServerTest, AClientThatSendsABodyNobodyAsksForStillReadsTheAnswer) {
    start();
    const std::string body(8 << 20, 'x');
    for (const auto& sent : {format("Content-Length: {}\r\n\r\n{}", body.size(), body), format("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n", body.size(), body)}) {
        RawClient client(server_->port());
        client.send("POST /refused HTTP/1.1\r\nHost: x\r\n");
        EXPECT_TRUE(client.send(sent));
        const auto answer = client.answer();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->body, "POST /refused ");
        EXPECT_TRUE(client.closed());
    }
}

TEST_F(HttpServerTest, AShortBodyThatCameAndNobodyAskedForKeepsTheConnection) {
    start();
    RawClient client(server_->port());
    client.send("POST /refused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.answer()->body, "POST /refused ");
    EXPECT_EQ(client.answer()->body, "GET /next ");
}

TEST_F(HttpServerTest, AnswersToHeadHaveNoBody) {
    start();
    RawClient client(server_->port());
    client.send("HEAD /e HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.answer(true)->field("Content-Length"), "8");
    client.send("GET /e HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.answer()->body, "GET /e ");
}

TEST_F(HttpServerTest, BadRequestsAreAnsweredAndTheConnectionEnds) {
    start();
    RawClient client(server_->port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
    const auto answer = client.answer();
    EXPECT_EQ(answer->status, 400);
    EXPECT_EQ(answer->field("Connection"), "close");
    EXPECT_EQ(answer->field("Content-Type"), "application/json");
    EXPECT_NE(answer->body.find("\"code\":\"bad_input\""), std::string::npos);
    EXPECT_FALSE(answer->field("X-Request-Id").empty());
    client.end_sending();
    EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, AnswersInTheClientsOwnVersion) {
    start();
    RawClient client(server_->port());
    client.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(client.answer()->head.starts_with("HTTP/1.0 200"));
    EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, BodiesOverTheLimitAreRefusedBeforeTheyAreSent) {
    HttpServerOptions options;
    options.limits.body = 10;
    start(options);
    EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n").starts_with("413"));
    EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n").starts_with("413"));
}

TEST_F(HttpServerTest, AClientThatSendsAllOfARefusedBodyStillReadsTheRefusal) {
    HttpServerOptions options;
    options.limits.body = 10;
    start(options);
    RawClient client(server_->port());
    const std::string body(16 << 20, 'x');
    ASSERT_TRUE(client.send(format("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.size())));
    EXPECT_TRUE(client.send(body));
    const auto answer = client.answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 413);
    EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, ASlowHeadIsGivenUp) {
    HttpServerOptions options;
    options.header_timeout = 1ms;
    start(options);
    EXPECT_TRUE(exchange("GET / HT").starts_with("408"));
}

TEST_F(HttpServerTest, ASlowBodyIsGivenUp) {
    HttpServerOptions options;
    options.body_timeout = 1ms;
    start(options);
    EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc").starts_with("408"));
}

TEST_F(HttpServerTest, ABodyThatComesTooSlowlyIsGivenUp) {
    HttpServerOptions options;
    options.slow_start = 0ms;
    options.slowest_body = std::uint64_t{1} << 40;
    start(options);
    EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc").starts_with("408"));
    EXPECT_THAT(exchange("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc"), testing::AllOf(testing::StartsWith("408"), testing::HasSubstr("too slowly")));
    EXPECT_THAT(exchange("POST /whole HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), testing::AllOf(testing::StartsWith("408"), testing::HasSubstr("too slowly")));
}

TEST_F(HttpServerTest, ABodyThatIsTakenWholeHasTheTimeOfOne) {
    HttpServerOptions options;
    options.body_timeout = 1ms;
    start(options);
    EXPECT_THAT(exchange("POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc"), testing::AllOf(testing::StartsWith("408"), testing::HasSubstr("did not arrive in time")));
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosedWithoutAWord) {
    HttpServerOptions options;
    options.idle_timeout = 1ms;
    start(options);
    RawClient client(server_->port());
    EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, AConnectionEndsAfterItsShareOfRequests) {
    HttpServerOptions options;
    options.max_requests_per_connection = 2;
    start(options);
    RawClient client(server_->port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.answer()->field("Connection"), "");
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.answer()->field("Connection"), "close");
    EXPECT_TRUE(client.closed());
}

TEST_F(HttpServerTest, AClientThatGoesAwayCancelsItsRequest) {
    start();
    {
        RawClient client(server_->port());
        client.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
        echo_.waiting.wait(0);
    }
    echo_.cancelled.wait(0);
    EXPECT_EQ(echo_.cause.load(), CancelCause::client_gone);
}

TEST_F(HttpServerTest, AClientThatGoesAwayWhileItsBodyWaitsForRoomCancelsItsRequest) {
    start();
    {
        RawClient client(server_->port());
        client.send("POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
        ASSERT_TRUE(client.send(std::string(300'000, 'x')));  // more than is held of it: nobody reads what still comes
        echo_.waiting.wait(0);
    }
    echo_.cancelled.wait(0);
    EXPECT_EQ(echo_.cause.load(), CancelCause::client_gone);
    // The same for one that closed before its body came to that place, and with nothing after it.
    for (int round = 1; round < 20; ++round) {
        {
            RawClient client(server_->port());
            client.send("POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send(format("{:x}\r\n{}", 280'000, std::string(280'000, 'y')));
        }
        echo_.cancelled.wait(round);
    }
}

TEST_F(HttpServerTest, AnAnswerInPartsIsCountedHoweverManyOthersWereCountedSince) {
    reactors_ = Reactors::start(1);
    start();
    {
        RawClient slow(server_->port());
        slow.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
        ASSERT_EQ(slow.answer()->status, 200);
        for (int status = 400; status < 440; ++status) {
            EXPECT_TRUE(exchange(format("GET /status/{} HTTP/1.1\r\nHost: x\r\n\r\n", status)).starts_with(std::to_string(status)));
        }
    }
    EXPECT_TRUE(close(10s));
    EXPECT_NE(metrics_.prometheus_text().find(R"(berth_http_response_body_bytes_sum{method="GET",route="/echo",status="200"} 5)"), std::string::npos);
}

TEST_F(HttpServerTest, FurtherConnectionsWaitUntilOneEnds) {
    HttpServerOptions options;
    options.max_connections = 1;
    start(options);
    auto first = std::make_unique<RawClient>(server_->port());
    first->send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(first->answer()->status, 200);
    RawClient second(server_->port());
    second.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(server_->connections(), 1U);
    first.reset();
    EXPECT_EQ(second.answer()->body, "GET /2 ");
}

TEST_F(HttpServerTest, ClosingEndsIdleConnectionsAndCutsWhatRunsAfterTheGrace) {
    start();
    RawClient idle(server_->port());
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(idle.answer()->status, 200);
    RawClient busy(server_->port());
    busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    echo_.waiting.wait(0);
    const auto port = server_->port();
    EXPECT_FALSE(close());
    EXPECT_TRUE(idle.closed());
    const auto answer = busy.answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->field("Connection"), "close");
    EXPECT_FALSE(RawClient(port).connected());
}

TEST_F(HttpServerTest, ClosingWithNothingRunningCutsNothing) {
    start();
    RawClient idle(server_->port());
    idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(idle.answer()->status, 200);
    EXPECT_TRUE(close(1h));
}

TEST_F(HttpServerTest, RequestsAreCountedByMethodRouteAndStatus) {
    start();
    exchange("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    exchange("BREW /b HTTP/1.1\r\nHost: x\r\n\r\n");
    exchange("bad\r\n\r\n");
    const auto text = metrics_.prometheus_text();
    EXPECT_NE(text.find("berth_http_requests_total{method=\"GET\",route=\"/echo\",status=\"200\"} 1"), std::string::npos) << text;
    EXPECT_NE(text.find("berth_http_requests_total{method=\"_other\",route=\"/echo\",status=\"200\"} 1"), std::string::npos);
    EXPECT_NE(text.find("berth_http_rejected_total{reason=\"malformed\"} 1"), std::string::npos);
}

TEST(Listener, AHeldPortNamesItsHolder) {
    const auto first = Listener::open("127.0.0.1", 0);
    ASSERT_TRUE(first);
    EXPECT_NE(first->port(), 0);
    const auto second = Listener::open("127.0.0.1", first->port());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::cannot_bind);
    EXPECT_NE(second.error().message().find(first->address()), std::string::npos);
    EXPECT_NE(second.error().message().find(format("(process {})", getpid())), std::string::npos) << second.error().message();
}

TEST(Listener, OnlyAddressesAreTaken) {
    EXPECT_EQ(Listener::open("nowhere.example", 0).error().code(), Code::cannot_bind);
    EXPECT_EQ(Listener::open("999.1.1.1", 0).error().code(), Code::cannot_bind);
}

}  // namespace
}  // namespace berth
