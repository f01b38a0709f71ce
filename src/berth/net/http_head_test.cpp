#include "berth/net/http_head.hpp"

#include <gtest/gtest.h>

#include <string>

namespace berth {
namespace {

constexpr HttpLimits limits;

struct Read {
    HttpRequest request;
    HttpFraming framing;
};

/// Code name of the refusal, or "ok", for a head that arrives byte by byte.
std::string outcome(std::string_view head, HttpLimits bounds = limits) {
    HeadScanner scanner;
    std::size_t size = 0;
    for (std::size_t i = 1; i <= head.size() && size == 0; ++i) {
        auto end = scanner.scan(head.substr(0, i), bounds);
        if (!end) return std::string(name(end.error().code()));
        size = *end;
    }
    if (size == 0) return "incomplete";
    if (size != head.size()) return "not all taken";
    HttpRequest request;
    auto framing = parse_head(head, bounds, request);
    return std::string(framing ? "ok" : name(framing.error().code()));
}

Read parsed(std::string_view head) {
    Read read;
    auto framing = parse_head(head, limits, read.request);
    EXPECT_TRUE(framing) << (framing ? "" : framing.error().message());
    if (framing) read.framing = *framing;
    return read;
}

std::string get(std::string_view fields) { return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n"; }

TEST(HttpHead, PartsOfARequestAreFound) {
    const auto [request, framing] = parsed("POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: example.com:80\r\nX-One:  two words \t\r\nEmpty:\r\n\r\n");
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/a/b%20c");
    EXPECT_EQ(request.query, "x=1&y");
    EXPECT_EQ(request.field("x-one"), "two words");
    EXPECT_EQ(request.field("empty"), "");
    EXPECT_FALSE(request.field("missing"));
    EXPECT_TRUE(framing.keep_alive);
    EXPECT_EQ(framing.content_length, 0U);
}

TEST(HttpHead, FramingIsRead) {
    EXPECT_EQ(parsed(get("Content-Length: 12\r\n")).framing.content_length, 12U);
    EXPECT_TRUE(parsed(get("transfer-encoding: Chunked\r\n")).framing.chunked);
    EXPECT_FALSE(parsed(get("Connection: foo, Close\r\n")).framing.keep_alive);
    EXPECT_TRUE(parsed(get("Expect: 100-Continue\r\n")).framing.expects_continue);
    EXPECT_FALSE(parsed("GET / HTTP/1.0\r\n\r\n").framing.keep_alive);
    EXPECT_TRUE(parsed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").framing.keep_alive);
}

TEST(HttpHead, AbsoluteTargetsLoseTheirHost) {
    EXPECT_EQ(parsed("GET http://a.b/c?d HTTP/1.1\r\nHost: a\r\n\r\n").request.path, "/c");
    EXPECT_EQ(parsed("GET http://a.b HTTP/1.1\r\nHost: a\r\n\r\n").request.path, "/");
}

TEST(HttpHead, WhatAnotherPartyCouldReadDifferentlyIsRefused) {
    const std::string bad = "bad_input";
    EXPECT_EQ(outcome(get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length: 1\r\nContent-Length: 2\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length: 1\r\nContent-Length: 1\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length: 1, 1\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length: +1\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length: -1\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length: 0x1\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length:\r\n")), bad);
    EXPECT_EQ(outcome(get("Content-Length: 99999999999999999999\r\n")), bad);
    EXPECT_EQ(outcome(get("Transfer-Encoding: gzip, chunked\r\n")), bad);
    EXPECT_EQ(outcome(get("Transfer-Encoding: chunked, identity\r\n")), bad);
    EXPECT_EQ(outcome(get("Transfer-Encoding: identity\r\n")), bad);
    EXPECT_EQ(outcome(get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), bad);
    EXPECT_EQ(outcome("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), bad);
    EXPECT_EQ(outcome(get("Content-Length : 1\r\n")), bad);
    EXPECT_EQ(outcome(get("Content Length: 1\r\n")), bad);
    EXPECT_EQ(outcome(get("X: a\r\n b\r\n")), bad);
    EXPECT_EQ(outcome(get("X: a\r\n\tb\r\n")), bad);
    EXPECT_EQ(outcome(get(": x\r\n")), bad);
    EXPECT_EQ(outcome(get("NoColon\r\n")), bad);
    EXPECT_EQ(outcome(get(std::string_view("X: a\0b\r\n", 8))), bad);
    EXPECT_EQ(outcome(get("X: a\rb\r\n")), bad);
    EXPECT_EQ(outcome(get("X: a\x7f\r\n")), bad);
    EXPECT_EQ(outcome(get("X\xc3\xa9: a\r\n")), bad);
    EXPECT_EQ(outcome("GET / HTTP/1.1\nHost: a\n\n"), bad);
    EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET / HTTP/1.1\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET /\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("GET a HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), bad);
    EXPECT_EQ(outcome(get("Expect: something\r\n")), bad);
}

TEST(HttpHead, OneEmptyLineMayStandBeforeIt) { EXPECT_EQ(outcome("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "ok"); }

TEST(HttpHead, LimitsHaveTheirOwnCodes) {
    EXPECT_EQ(outcome("GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), "uri_too_long");
    EXPECT_EQ(outcome("GET /" + std::string(9'000, 'a')), "uri_too_long");
    EXPECT_EQ(outcome(get("X: " + std::string(17'000, 'a') + "\r\n")), "headers_too_large");
    std::string many;
    for (int i = 0; i < 101; ++i) many += "X: y\r\n";
    EXPECT_EQ(outcome(get(many)), "headers_too_large");
    EXPECT_EQ(outcome(get("Content-Length: 10485761\r\n")), "payload_too_large");
    EXPECT_EQ(outcome(get("Content-Length: 10485760\r\n")), "ok");
}

/// The body, or the code name of the refusal, for input that arrives in parts of `step` bytes.
std::string dechunked(std::string_view input, std::size_t step, HttpLimits bounds = limits) {
    ChunkedReader reader;
    std::string body, pending;
    while (!reader.done()) {
        if (input.empty()) return "incomplete";
        pending.append(input.substr(0, step));
        input.remove_prefix(std::min(step, input.size()));
        auto taken = reader.take(pending, body, bounds);
        if (!taken) return std::string(name(taken.error().code()));
        pending.erase(0, *taken);
    }
    return body + "|" + pending + std::string(input);
}

TEST(ChunkedReader, TakesABodyApartWhateverWayItArrives) {
    for (const std::size_t step : {1, 2, 3, 7, 1000}) {
        EXPECT_EQ(dechunked("5\r\nhello\r\nA;ext=\"1\"\r\n0123456789\r\n0\r\n\r\nNEXT", step), "hello0123456789|NEXT");
        EXPECT_EQ(dechunked("0\r\nTrailer: x\r\n\r\n", step), "|");
        EXPECT_EQ(dechunked("000003\r\nabc\r\n0\r\n\r\n", step), "abc|");
    }
}

TEST(ChunkedReader, RefusesWhatIsNotExact) {
    const std::string bad = "bad_input";
    for (const char* input : {"\r\n", "g\r\n", "0x5\r\nhello", "-1\r\n", " 5\r\nhello", "5 \r\nhello", "5\nhello", "5\r\nhelloX\r\n", "5\r\nhello\n0\r\n\r\n",
                              "5\r\nhell\r\n0\r\n\r\n", "1234567890123456\r\n", "0\r\n folded\r\n\r\n", "0\r\nNoColon\r\n\r\n", "0\r\nX : y\r\n\r\n",
                              "5;a\x01\r\nhello", "5\r\rhello", "0\r\nX: y\n\r\n"}) {
        for (const std::size_t step : {1, 100}) EXPECT_EQ(dechunked(input, step), bad) << input;
    }
}

TEST(ChunkedReader, IsBounded) {
    HttpLimits small;
    small.body = 10;
    EXPECT_EQ(dechunked("B\r\n", 1, small), "payload_too_large");
    EXPECT_EQ(dechunked("FFFFFFFFFFFFFFF\r\n", 1, small), "payload_too_large");
    EXPECT_EQ(dechunked("6\r\n012345\r\n6\r\n", 1, small), "payload_too_large");
    EXPECT_EQ(dechunked("1;" + std::string(20'000, 'x'), 100), "headers_too_large");
    EXPECT_EQ(dechunked("0\r\n" + std::string(20'000, 'x'), 100), "headers_too_large");
}

}  // namespace
}  // namespace berth
