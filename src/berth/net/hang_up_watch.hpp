#pragma once

// Of the HTTP server; not for other modules.

#include <functional>
#include <memory>

namespace berth {

class Reactor;

/// Notices that the other end of a socket has closed while nobody reads from it: what has arrived before stays where it is.
/// In one loop, that of `reactor`.
class HangUpWatch {
public:
    explicit HangUpWatch(Reactor& reactor) : reactor_(reactor) {}
    ~HangUpWatch();
    HangUpWatch(const HangUpWatch&) = delete;
    HangUpWatch& operator=(const HangUpWatch&) = delete;

    /// Calls `gone` in the loop, once and not before this has returned, when the other end has closed or the connection broke.
    /// False: the system cannot tell.
    bool watch(int descriptor, std::function<void()> gone);
    /// Before the descriptor is closed; afterwards nobody is called for it.
    void forget(int descriptor) noexcept;

private:
    struct Inner;
    Reactor& reactor_;
    std::shared_ptr<Inner> inner_;  // made for the first one; owners: this, and the wait that is under way
};

}  // namespace berth
