#include "berth/app/live_sockets.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "support/test_server.hpp"

namespace berth {
namespace {

class LiveSocketsTest : public ::testing::Test {
protected:
    std::unique_ptr<TcpSocket> open(bool v6 = false) {
        auto opened = open_tcp_socket(v6, watch_, connector_, [this] {
            wakes_.fetch_add(1);
            wakes_.notify_all();
        });
        EXPECT_TRUE(opened);
        return std::move(*opened);
    }
    /// Waits as a guest does: asks, and sleeps until it is woken.
    void until_ready(TcpSocket& socket, TcpSocket::For what) {
        while (true) {
            const auto heard = wakes_.load();
            if (socket.ready(what)) return;
            wakes_.wait(heard);
        }
    }
    std::string read_all(TcpSocket& socket) {
        std::string all;
        while (true) {
            until_ready(socket, TcpSocket::For::reading);
            std::array<std::uint8_t, 1000> part;
            const auto count = socket.read(part);
            if (!count && count.error() == SocketError::would_block) continue;
            EXPECT_TRUE(count);
            if (!count || *count == 0) return all;
            all.append(reinterpret_cast<const char*>(part.data()), *count);
        }
    }
    void write_all(TcpSocket& socket, std::string_view text) {
        while (!text.empty()) {
            const auto taken = socket.write(as_bytes(text));
            if (!taken) {
                ASSERT_EQ(taken.error(), SocketError::would_block);
                until_ready(socket, TcpSocket::For::writing);
                continue;
            }
            text.remove_prefix(*taken);
        }
    }

    std::atomic<int> wakes_{0};
    SocketWatch watch_;
    DirectConnector connector_;
    const IpAddress loopback_ = IpAddress::v4({127, 0, 0, 1});
};

TEST_F(LiveSocketsTest, TalksWithAServerWithoutEverBlocking) {
    const std::string said(3 << 20, 'q');
    test::TestServer server([&](test::TestPeer& peer) { peer.send(peer.bytes(said.size())); });
    auto socket = open();
    ASSERT_TRUE(socket->connect({loopback_, server.port()}));
    until_ready(*socket, TcpSocket::For::writing);
    ASSERT_TRUE(socket->connected());
    EXPECT_EQ(socket->remote()->port, server.port());
    EXPECT_EQ(socket->local()->address, loopback_);
    write_all(*socket, said);
    ASSERT_TRUE(socket->shutdown(TcpSocket::Shut::sending));
    EXPECT_EQ(read_all(*socket), said);
}

TEST_F(LiveSocketsTest, AConnectionThatIsRefusedSaysSo) {
    auto closed = open();
    ASSERT_TRUE(closed->bind({loopback_, 0}));
    auto socket = open();
    const auto begun = socket->connect({loopback_, closed->local()->port});  // bound, and nobody listens
    if (begun) until_ready(*socket, TcpSocket::For::writing);
    EXPECT_EQ((begun ? socket->connected() : begun).error(), SocketError::connection_refused);
}

TEST_F(LiveSocketsTest, AListenerTakesConnections) {
    auto listener = open();
    ASSERT_TRUE(listener->bind({loopback_, 0}));
    ASSERT_TRUE(listener->listen(4));
    EXPECT_EQ(listener->accept().error(), SocketError::would_block);
    auto client = open();
    ASSERT_TRUE(client->connect(*listener->local()));
    until_ready(*listener, TcpSocket::For::reading);
    auto accepted = listener->accept();
    ASSERT_TRUE(accepted);
    until_ready(*client, TcpSocket::For::writing);
    ASSERT_TRUE(client->connected());
    EXPECT_EQ((*accepted)->remote()->port, client->local()->port);
    write_all(**accepted, "from here");
    accepted->reset();
    EXPECT_EQ(read_all(*client), "from here");
}

TEST_F(LiveSocketsTest, AClosedSocketIsNotWaitedForAnyMore) {
    auto listener = open();
    ASSERT_TRUE(listener->bind({loopback_, 0}));
    ASSERT_TRUE(listener->listen(4));
    EXPECT_FALSE(listener->ready(TcpSocket::For::reading));
    const auto address = *listener->local();
    listener.reset();
    auto next = open();  // most likely with the same number
    ASSERT_TRUE(next->bind(address));
    EXPECT_EQ(wakes_.load(), 0);
}

TEST_F(LiveSocketsTest, OptionsAreThoseOfTheSystemsSocket) {
    for (const bool v6 : {false, true}) {
        auto opened = open_tcp_socket(v6, watch_, connector_, [] {});
        if (!opened && opened.error() == SocketError::not_supported) continue;  // a machine without IPv6
        ASSERT_TRUE(opened);
        auto& socket = *opened;
        const auto set = [&](SocketOption which, std::uint64_t value) {
            EXPECT_TRUE(socket->set_option(which, value)) << static_cast<int>(which);
            return socket->option(which).value_or(0);
        };
        EXPECT_EQ(socket->option(SocketOption::keep_alive).value_or(9), 0u);
        EXPECT_EQ(set(SocketOption::keep_alive, 1), 1u);
        EXPECT_EQ(set(SocketOption::keep_alive, 0), 0u);
        constexpr std::uint64_t second = 1'000'000'000;
        EXPECT_EQ(set(SocketOption::keep_alive_idle, 7 * second), 7 * second);
        EXPECT_EQ(set(SocketOption::keep_alive_interval, 1), second) << "rounded up to what the system has";
        EXPECT_EQ(set(SocketOption::keep_alive_interval, ~std::uint64_t{0}), 32767 * second);
        EXPECT_EQ(set(SocketOption::keep_alive_count, 5), 5u);
        EXPECT_EQ(set(SocketOption::keep_alive_count, 1000), 127u);
        EXPECT_EQ(set(SocketOption::hop_limit, 17), 17u);
        EXPECT_EQ(set(SocketOption::receive_buffer, 20000), 20000u);
        EXPECT_EQ(set(SocketOption::send_buffer, 30000), 30000u);
        EXPECT_TRUE(socket->set_option(SocketOption::send_buffer, ~std::uint64_t{0})) << "what is too much is cut";
        for (const auto which : {SocketOption::keep_alive_idle, SocketOption::keep_alive_interval, SocketOption::keep_alive_count, SocketOption::hop_limit, SocketOption::receive_buffer, SocketOption::send_buffer}) {
            EXPECT_EQ(socket->set_option(which, 0).error(), SocketError::invalid_argument) << static_cast<int>(which);
        }
    }
}

TEST_F(LiveSocketsTest, AnAcceptedConnectionHasTheOptionsOfItsListener) {
    auto listener = open();
    ASSERT_TRUE(listener->set_option(SocketOption::keep_alive, 1));
    ASSERT_TRUE(listener->set_option(SocketOption::hop_limit, 9));
    ASSERT_TRUE(listener->set_option(SocketOption::keep_alive_count, 3));
    ASSERT_TRUE(listener->bind({loopback_, 0}));
    ASSERT_TRUE(listener->listen(4));
    ASSERT_TRUE(listener->listen(2)) << "a backlog can be changed";
    auto client = open();
    ASSERT_TRUE(client->connect(*listener->local()));
    until_ready(*listener, TcpSocket::For::reading);
    auto accepted = listener->accept();
    ASSERT_TRUE(accepted);
    EXPECT_EQ((*accepted)->option(SocketOption::keep_alive).value_or(0), 1u);
    EXPECT_EQ((*accepted)->option(SocketOption::hop_limit).value_or(0), 9u);
    EXPECT_EQ((*accepted)->option(SocketOption::keep_alive_count).value_or(0), 3u);
}

TEST_F(LiveSocketsTest, LooksNamesUp) {
    SystemResolver resolver;
    const auto wake = [this] {
        wakes_.fetch_add(1);
        wakes_.notify_all();
    };
    for (const auto& [name, known] : {std::pair<std::string, bool>("127.0.0.1", true), {"no-such-name.invalid", false}}) {
        const auto before = wakes_.load();
        const auto lookup = look_up_name(resolver, name, wake);
        wakes_.wait(before);
        const auto found = lookup->addresses();
        EXPECT_EQ(found.has_value(), known) << name;
        if (found) {
            EXPECT_EQ(found->front(), loopback_);
        }
    }
}

}  // namespace
}  // namespace berth
