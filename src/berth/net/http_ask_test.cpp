#include "berth/net/http_ask.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "berth/base/format.hpp"
#include "support/test_server.hpp"

namespace berth {
namespace {

using test::TestPeer;
using test::TestServer;
using ::testing::HasSubstr;

FetchRequest request_to(const TestServer& server, std::string method = "POST") {
    FetchRequest request;
    request.method = std::move(method);
    request.url = *Url::parse(format("http://127.0.0.1:{}/take", server.port()));
    return request;
}

TEST(HttpAsk, ALargeBodyGoesOutAndTheWholeAnswerComesBack) {
    const std::string body(1 << 20, 'b');
    std::string head;
    std::size_t taken = 0;
    TestServer server([&](TestPeer& peer) {
        head = peer.head();
        taken = peer.bytes(body.size()).size();
        peer.send(format("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", body.size()));
        peer.send(body);
        peer.head();  // until the other side closes
    });
    const auto client = HttpClient::create({});
    const auto answer = ask(**client, request_to(server), body, checks_of_host(PlainHttp::this_machine));
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status, 201);
    EXPECT_EQ(answer->body, body);
    EXPECT_EQ(taken, body.size());
    EXPECT_THAT(head, HasSubstr("Content-Length: 1048576\r\n"));
}

TEST(HttpAsk, AnEmptyBodyAndAnEmptyAnswerAreThat) {
    TestServer server([](TestPeer& peer) {
        const auto head = peer.head();
        peer.send(head.find("Content-Length: 0\r\n") == std::string::npos ? "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n" : "HTTP/1.1 204 No Content\r\n\r\n");
        peer.head();
    });
    const auto client = HttpClient::create({});
    const auto answer = ask(**client, request_to(server), {}, checks_of_host(PlainHttp::this_machine));
    ASSERT_TRUE(answer) << answer.error().message();
    EXPECT_EQ(answer->status, 204);
    EXPECT_EQ(answer->body, "");
}

TEST(HttpAsk, WhatIsCutOffOrTooLargeFails) {
    TestServer cut([](TestPeer& peer) {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    const auto client = HttpClient::create({});
    EXPECT_EQ(ask(**client, request_to(cut, "GET"), {}, checks_of_host(PlainHttp::this_machine)).error().code(), Code::upstream);
    TestServer large([](TestPeer& peer) {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
        peer.head();
    });
    auto request = request_to(large, "GET");
    request.max_body = 9;
    EXPECT_EQ(ask(**client, std::move(request), {}, checks_of_host(PlainHttp::this_machine)).error().code(), Code::output_too_large);
}

TEST(HttpAsk, StopsWhenItIsTold) {
    std::latch asked(1);
    TestServer server([&](TestPeer& peer) {
        peer.head();
        asked.count_down();
        peer.head();  // never answers
    });
    const auto client = HttpClient::create({});
    CancelSource source;
    std::thread stopper([&] {
        asked.wait();
        source.cancel();
    });
    const auto answer = ask(**client, request_to(server, "GET"), {}, checks_of_host(PlainHttp::this_machine), source.token());
    stopper.join();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code(), Code::cancelled);
}

TEST(HttpAsk, PlainTextStaysOnThisMachineWhereThatIsAsked) {
    const auto checks = checks_of_host(PlainHttp::this_machine);
    const auto allowed = [&](std::string_view url, std::string_view address) { return checks->check("GET", *Url::parse(url), *IpAddress::parse(address)).has_value(); };
    EXPECT_TRUE(allowed("http://localhost/", "127.0.0.1"));
    EXPECT_TRUE(allowed("http://[::1]/", "::1"));
    EXPECT_FALSE(allowed("http://localhost/", "93.184.216.34"));  // a name may lead anywhere
    EXPECT_FALSE(allowed("http://intern.example/", "10.0.0.1"));
    EXPECT_TRUE(allowed("https://keys.example/", "93.184.216.34"));
    EXPECT_TRUE(checks_of_host(PlainHttp::anywhere)->check("POST", *Url::parse("http://collector.example/"), *IpAddress::parse("10.0.0.1")));
}

}  // namespace
}  // namespace berth
