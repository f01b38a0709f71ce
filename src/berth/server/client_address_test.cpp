#include "berth/server/client_address.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace berth {
namespace {

const std::vector<PeerNetwork> proxies{*PeerNetwork::parse("10.0.0.0/8"), *PeerNetwork::parse("::1")};

std::string client(std::string_view peer, std::vector<HttpField> fields) {
    HttpRequest request;
    request.peer = *PeerAddress::parse(peer);
    request.fields = std::move(fields);
    return client_address(request, proxies).text();
}

TEST(ClientAddress, WhoIsNoProxyIsTheClientWhateverItSays) {
    EXPECT_EQ(client("192.0.2.1", {{"X-Forwarded-For", "198.51.100.1"}, {"Forwarded", "for=198.51.100.1"}}), "192.0.2.1");
    HttpRequest request;
    request.peer = *PeerAddress::parse("10.0.0.1");
    request.fields = {{"X-Forwarded-For", "198.51.100.1"}};
    EXPECT_EQ(client_address(request, {}).text(), "10.0.0.1");
}

TEST(ClientAddress, TheNearestThatIsNoProxyIsTaken) {
    EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "203.0.113.9, 198.51.100.1, 10.2.2.2"}}), "198.51.100.1");
    EXPECT_EQ(client("10.0.0.1", {{"x-forwarded-for", "203.0.113.9"}, {"X-Forwarded-For", "198.51.100.1"}}), "198.51.100.1");
    EXPECT_EQ(client("::1", {{"X-Forwarded-For", "10.9.9.9,10.2.2.2"}}), "10.9.9.9");
    EXPECT_EQ(client("10.0.0.1", {}), "10.0.0.1");
}

TEST(ClientAddress, ForwardedIsReadWithPortsAndQuotes) {
    EXPECT_EQ(client("10.0.0.1", {{"Forwarded", R"(for="[2001:db8::1]:4711";proto=http, for=10.3.3.3)"}}), "2001:db8::1");
    EXPECT_EQ(client("10.0.0.1", {{"Forwarded", R"(proto=https; For="192.0.2.60:80";by=10.0.0.1)"}}), "192.0.2.60");
    EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "192.0.2.60:1234"}}), "192.0.2.60");
}

TEST(ClientAddress, WhatIsNoAddressEndsTheWalk) {
    EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1, unknown"}}), "10.0.0.1");
    EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1, _hidden, 10.5.5.5"}}), "10.5.5.5");
    EXPECT_EQ(client("10.0.0.1", {{"Forwarded", "for=_secret"}}), "10.0.0.1");
    EXPECT_EQ(client("10.0.0.1", {{"Forwarded", "for=[::1"}}), "10.0.0.1");
}

TEST(ClientAddress, FieldsThatDisagreeAreNotBelieved) {
    EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1"}, {"Forwarded", "for=203.0.113.9"}}), "10.0.0.1");
    EXPECT_EQ(client("10.0.0.1", {{"X-Forwarded-For", "198.51.100.1"}, {"Forwarded", "for=198.51.100.1"}}), "198.51.100.1");
}

}  // namespace
}  // namespace berth
