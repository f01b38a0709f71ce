#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"

namespace berth {

/// A listening TCP socket.
class Listener {
public:
    /// Binds `host` (an address, or `localhost`) and `port`; 0 picks a free one. Fails with cannot_bind, naming the
    /// address, what is wrong, and the process that holds it where that can be seen.
    static Result<Listener> open(std::string_view host, std::uint16_t port, int backlog = 1024);

    Listener(Listener&& other) noexcept;
    Listener& operator=(Listener&& other) noexcept;
    ~Listener();

    int descriptor() const noexcept { return descriptor_; }
    std::uint16_t port() const noexcept { return port_; }
    /// `127.0.0.1:8080`, `[::1]:8080`.
    const std::string& address() const noexcept { return address_; }
    /// Stops listening; port and address stay known.
    void close() noexcept;

private:
    Listener() = default;
    int descriptor_ = -1;
    std::uint16_t port_ = 0;
    std::string address_;
};

/// `python3 (process 4711)` that listens on this TCP port, empty when it cannot be found or seen.
std::string port_holder(std::uint16_t port);

}  // namespace berth
