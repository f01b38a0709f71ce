#include <errno.h>

#include <optional>

#include "berth/app/live_sockets.hpp"
#include "berth/app/system_socket.hpp"

namespace berth {
namespace {

using system_socket::address_of;
using system_socket::failed;
using system_socket::Raw;
using system_socket::raw_of;

constexpr std::size_t most_in_a_datagram = 65535;

class LiveUdpSocket final : public UdpSocket {
public:
    LiveUdpSocket(SystemSocket socket, Connector& connector, Accept accept) : socket_(std::move(socket)), connector_(connector), accept_(std::move(accept)) {}

    Done<void> bind(const SocketAddress& local) override {
        auto raw = raw_of(local, socket_.is_v6());
        if (::bind(socket_.descriptor(), raw.address(), raw.size) != 0) return failed(errno);
        const auto bound = socket_.local();
        if (!bound) return std::unexpected(bound.error());
        bound_ = *bound;
        return {};
    }

    Done<void> stream(const std::optional<SocketAddress>& remote) override {
        held_.reset();
        if (const auto parted = part(); !parted) return parted;
        if (!remote) return {};
        const auto to = reach(*remote);
        if (!to) return std::unexpected(to.error());
        auto raw = raw_of(*to, socket_.is_v6());
        if (::connect(socket_.descriptor(), raw.address(), raw.size) != 0) return failed(errno);
        remote_ = remote;
        only_ = *to;
        return {};
    }

    Done<void> send(ByteView bytes, const std::optional<SocketAddress>& to) override {
        if (!to || to == remote_) return sent(::send(socket_.descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
        if (remote_) return std::unexpected(SocketError::invalid_argument);
        const auto reached = reach(*to);
        if (!reached) return std::unexpected(reached.error());
        auto raw = raw_of(*reached, socket_.is_v6());
        return sent(::sendto(socket_.descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL, raw.address(), raw.size));
    }

    Done<Datagram> receive() override {
        if (!held_ && !fetch()) return std::unexpected(SocketError::would_block);
        auto held = std::move(*held_);
        held_.reset();
        return held;
    }

    bool ready(For what) override {
        if (what == For::writing) return socket_.ready(what);
        return held_ || fetch() || !socket_.wait(what);
    }

    Done<SocketAddress> local() const override {
        if (!bound_) return std::unexpected(SocketError::invalid_state);
        return socket_.local();
    }
    Done<SocketAddress> remote() const override {
        if (!remote_) return std::unexpected(SocketError::invalid_state);
        return *remote_;
    }
    Done<std::uint64_t> option(SocketOption which) const override { return socket_.option(which); }
    Done<void> set_option(SocketOption which, std::uint64_t value) override { return socket_.set_option(which, value); }

private:
    static Done<void> sent(ssize_t count) {
        if (count < 0) return failed(errno == EINTR ? EAGAIN : errno);
        return {};
    }
    Done<SocketAddress> reach(const SocketAddress& to) {
        const auto reached = connector_.reach({to.address, to.port});
        if (!reached) return std::unexpected(SocketError::remote_unreachable);
        return SocketAddress{reached->address, reached->port};
    }
    /// Leaves the only other end, and stays where it is: the system would take the port back that it has chosen itself.
    Done<void> part() {
        if (!remote_) return {};
        remote_.reset();
        only_.reset();
        sockaddr nobody{};
        nobody.sa_family = AF_UNSPEC;
        if (::connect(socket_.descriptor(), &nobody, sizeof nobody) != 0) return failed(errno);
        const auto now = socket_.local();
        if (!bound_ || (now && now->port == bound_->port)) return {};
        auto raw = raw_of(*bound_, socket_.is_v6());
        if (::bind(socket_.descriptor(), raw.address(), raw.size) != 0) return failed(errno);
        return {};
    }
    /// Takes what has come, or an error that was reported, and holds it. What the guest may not have is dropped, so many at a time
    /// that a sender of much of it does not keep the call.
    bool fetch() {
        buffer_.resize(most_in_a_datagram);
        for (int dropped = 0; dropped < 256; ++dropped) {
            Raw from;
            const auto count = ::recvfrom(socket_.descriptor(), buffer_.data(), buffer_.size(), MSG_DONTWAIT, from.address(), &from.size);
            if (count < 0) {
                if (errno == EINTR) continue;
                if (errno == EAGAIN) return false;
                held_ = failed(errno);
                return true;
            }
            auto sender = address_of(from);
            if (only_ && sender != *only_) continue;  // it came before there was only one
            if (only_) sender = *remote_;
            if (!accept_(sender)) continue;
            held_ = Datagram{Bytes(buffer_.begin(), buffer_.begin() + count), sender};
            return true;
        }
        return false;
    }

    SystemSocket socket_;
    Connector& connector_;
    Accept accept_;
    std::optional<SocketAddress> bound_;
    std::optional<SocketAddress> remote_;  // the only other end, as the guest knows it
    std::optional<SocketAddress> only_;    // whatever a connector made of it
    std::optional<Done<Datagram>> held_;
    Bytes buffer_;  // empty until something may have come
};

}  // namespace

std::expected<std::unique_ptr<UdpSocket>, SocketError> open_udp_socket(bool v6, SocketWatch& watch, Connector& connector, UdpSocket::Accept accept, std::function<void()> waker) {
    auto socket = SystemSocket::open(SystemSocket::Kind::udp, v6, watch, std::move(waker));
    if (!socket) return std::unexpected(socket.error());
    return std::make_unique<LiveUdpSocket>(std::move(*socket), connector, std::move(accept));
}

}  // namespace berth
