#include "berth/net/http_response_head.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

using Body = HttpResponseFraming::Body;

Result<HttpResponseFraming> parse(std::string_view head, HttpResponseHead& response, bool to_head = false) { return parse_response_head(head, HttpLimits{}, to_head, response); }

TEST(HttpResponseHead, FramingFollowsFieldsStatusAndMethod) {
    struct Case {
        const char* head;
        bool to_head;
        Body body;
        std::uint64_t length;
        bool keep_alive;
    };
    const Case cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", false, Body::length, 7, true},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, Body::none, 0, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, Body::chunked, 0, true},
        {"HTTP/1.1 200 OK\r\n\r\n", false, Body::until_close, 0, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true, Body::none, 7, true},
        {"HTTP/1.1 204 No\r\n\r\n", false, Body::none, 0, true},
        {"HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n", false, Body::none, 7, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", false, Body::length, 7, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: Close\r\n\r\n", false, Body::length, 7, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 7\r\n\r\n", false, Body::length, 7, true},
    };
    for (const auto& each : cases) {
        HttpResponseHead response;
        const auto framing = parse(each.head, response, each.to_head);
        ASSERT_TRUE(framing) << each.head << framing.error().message();
        EXPECT_EQ(framing->body, each.body) << each.head;
        if (each.body == Body::length) {
            EXPECT_EQ(framing->length, each.length) << each.head;
        }
        EXPECT_EQ(framing->keep_alive, each.keep_alive) << each.head;
    }
}

TEST(HttpResponseHead, WhatCouldBeFramedInTwoWaysIsRefused) {
    for (const char* head : {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                             "HTTP/1.1 200 OK\r\n Folded: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 600 No\r\n\r\n",
                             "HTTP/1.1 20 No\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n"}) {
        HttpResponseHead response;
        const auto framing = parse(head, response);
        ASSERT_FALSE(framing) << head;
        EXPECT_EQ(framing.error().code(), Code::upstream) << head;
    }
}

}  // namespace
}  // namespace berth
