#include "berth/net/peer_address.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

std::string shown(std::string_view text) {
    const auto address = PeerAddress::parse(text);
    return address ? address->text() : "none";
}

bool contains(std::string_view network, std::string_view address) {
    const auto read = PeerNetwork::parse(network);
    return read && read->contains(*PeerAddress::parse(address));
}

TEST(PeerAddress, IsReadAndShownInItsShortestForm) {
    EXPECT_EQ(shown("192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(shown("2001:0DB8:0:0::1"), "2001:db8::1");
    EXPECT_EQ(shown("[::1]"), "::1");
    EXPECT_EQ(shown("::ffff:192.0.2.1"), "192.0.2.1");
    for (const auto* wrong : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "[1.2.3.4]", "::1%eth0", "1.2.3.4:80", "localhost", ":::1"}) EXPECT_EQ(shown(wrong), "none") << wrong;
}

TEST(PeerAddress, KnowsLoopback) {
    EXPECT_TRUE(PeerAddress::parse("127.9.9.9")->is_loopback());
    EXPECT_TRUE(PeerAddress::parse("::1")->is_loopback());
    EXPECT_TRUE(PeerAddress::parse("::ffff:127.0.0.1")->is_loopback());
    EXPECT_FALSE(PeerAddress::parse("128.0.0.1")->is_loopback());
    EXPECT_FALSE(PeerAddress::parse("::2")->is_loopback());
    EXPECT_FALSE(PeerAddress().is_loopback());
    EXPECT_EQ(PeerAddress().text(), "unknown");
}

TEST(PeerNetwork, ContainsWhatBeginsWithItsBits) {
    EXPECT_TRUE(contains("10.0.0.0/8", "10.255.0.1"));
    EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.1"));
    EXPECT_TRUE(contains("192.0.2.128/25", "192.0.2.200"));
    EXPECT_FALSE(contains("192.0.2.128/25", "192.0.2.100"));
    EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
    EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
    EXPECT_TRUE(contains("192.0.2.1", "192.0.2.1"));
    EXPECT_FALSE(contains("192.0.2.1", "192.0.2.2"));
    EXPECT_TRUE(contains("0.0.0.0/0", "198.51.100.7"));
    EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
    EXPECT_TRUE(contains("::/0", "2001:db8::1"));
}

TEST(PeerNetwork, RefusesWhatIsNoNetwork) {
    for (const auto* wrong : {"10.0.0.0/33", "10.0.0.1/8", "::1/129", "10.0.0.0/", "10.0.0.0/8x", "/8", "2001:db8::1/32"}) EXPECT_FALSE(PeerNetwork::parse(wrong)) << wrong;
}

}  // namespace
}  // namespace berth
