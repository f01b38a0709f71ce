#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "berth/app/live_sockets.hpp"

namespace berth {
namespace {

class LiveDatagramsTest : public ::testing::Test {
protected:
    std::unique_ptr<UdpSocket> open(UdpSocket::Accept accept = [](const SocketAddress&) { return true; }) {
        auto opened = open_udp_socket(false, watch_, connector_, std::move(accept), [this] {
            wakes_.fetch_add(1);
            wakes_.notify_all();
        });
        EXPECT_TRUE(opened);
        EXPECT_TRUE((*opened)->bind({loopback_, 0}));
        return std::move(*opened);
    }
    /// What comes next, waited for as a guest does.
    UdpSocket::Done<Datagram> next(UdpSocket& socket) {
        while (true) {
            const auto heard = wakes_.load();
            if (auto got = socket.receive(); got || got.error() != SocketError::would_block) return got;
            if (!socket.ready(UdpSocket::For::reading)) wakes_.wait(heard);
        }
    }
    std::string text(UdpSocket& socket) {
        const auto got = next(socket);
        return got ? std::string(as_text(got->bytes)) : "failed";
    }

    std::atomic<int> wakes_{0};
    SocketWatch watch_;
    DirectConnector connector_;
    const IpAddress loopback_ = IpAddress::v4({127, 0, 0, 1});
};

TEST_F(LiveDatagramsTest, ADatagramArrivesWholeWithWhereItIsFrom) {
    auto one = open(), other = open();
    ASSERT_TRUE(one->send(as_bytes("first"), *other->local()));
    ASSERT_TRUE(one->send({}, *other->local()));
    ASSERT_TRUE(one->send(as_bytes("third"), *other->local()));
    const auto first = next(*other);
    ASSERT_TRUE(first);
    EXPECT_EQ(as_text(first->bytes), "first");
    EXPECT_EQ(first->from, *one->local());
    EXPECT_EQ(text(*other), "") << "an empty one is one as well";
    EXPECT_EQ(text(*other), "third");
    EXPECT_EQ(other->receive().error(), SocketError::would_block);
}

TEST_F(LiveDatagramsTest, WhatTheGuestMayNotHaveIsDropped) {
    auto stranger = open(), friendly = open();
    const auto known = *friendly->local();
    auto guest = open([known](const SocketAddress& from) { return from == known; });
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(stranger->send(as_bytes("no"), *guest->local()));
    ASSERT_TRUE(friendly->send(as_bytes("yes"), *guest->local()));
    EXPECT_EQ(text(*guest), "yes");
    EXPECT_EQ(guest->receive().error(), SocketError::would_block);
}

TEST_F(LiveDatagramsTest, AStreamHasOneOtherEndUntilItIsLeft) {
    auto one = open(), other = open(), guest = open();
    const auto here = *guest->local();
    EXPECT_EQ(guest->remote().error(), SocketError::invalid_state);
    ASSERT_TRUE(other->send(as_bytes("before"), here));
    ASSERT_TRUE(guest->ready(UdpSocket::For::reading));
    ASSERT_TRUE(guest->stream(*one->local()));
    EXPECT_EQ(*guest->remote(), *one->local());
    EXPECT_EQ(guest->send(as_bytes("x"), *other->local()).error(), SocketError::invalid_argument);
    ASSERT_TRUE(guest->send(as_bytes("to one"), std::nullopt));
    EXPECT_EQ(text(*one), "to one");
    ASSERT_TRUE(one->send(as_bytes("from one"), here));
    EXPECT_EQ(text(*guest), "from one") << "and nothing of the other";
    ASSERT_TRUE(guest->stream(*other->local()));
    ASSERT_TRUE(guest->send(as_bytes("to other"), *other->local()));
    EXPECT_EQ(text(*other), "to other");
    ASSERT_TRUE(guest->stream(std::nullopt));
    EXPECT_EQ(*guest->local(), here) << "it stays where it was";
    ASSERT_TRUE(one->send(as_bytes("again"), here));
    EXPECT_EQ(text(*guest), "again");
}

TEST_F(LiveDatagramsTest, WhatCannotBeSentSaysWhy) {
    auto guest = open();
    const std::string big(70000, 'x');
    EXPECT_EQ(guest->send(as_bytes(big), *guest->local()).error(), SocketError::datagram_too_large);
    EXPECT_EQ(guest->send(as_bytes("x"), std::nullopt).error(), SocketError::invalid_argument);
    auto elsewhere = open(), other = open();
    ASSERT_TRUE(elsewhere->stream(*other->local()));  // the port is taken, and nobody hears this sender there
    ASSERT_TRUE(guest->stream(*elsewhere->local()));
    ASSERT_TRUE(guest->send(as_bytes("x"), std::nullopt));
    EXPECT_EQ(next(*guest).error(), SocketError::connection_refused);
}

TEST_F(LiveDatagramsTest, OptionsAreThoseOfTheSystemsSocket) {
    auto guest = open();
    ASSERT_TRUE(guest->set_option(SocketOption::hop_limit, 3));
    EXPECT_EQ(*guest->option(SocketOption::hop_limit), 3u);
    ASSERT_TRUE(guest->set_option(SocketOption::receive_buffer, 20000));
    EXPECT_EQ(*guest->option(SocketOption::receive_buffer), 20000u);
    EXPECT_EQ(guest->set_option(SocketOption::send_buffer, 0).error(), SocketError::invalid_argument);
    EXPECT_EQ(guest->set_option(SocketOption::keep_alive, 1).error(), SocketError::not_supported);
    EXPECT_EQ(guest->option(SocketOption::keep_alive_count).error(), SocketError::not_supported);
}

}  // namespace
}  // namespace berth
