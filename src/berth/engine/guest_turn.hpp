#pragma once

#include "berth/base/sanitizers.hpp"

namespace berth {

class HostContext;

/// A host call's turn at the memory and the fuel of its instance, as the thread sanitizer is to see it. The engine gives
/// both from one thread to the next, for another call or another instance in the same place, under locks of its own
/// that this sanitizer cannot see. Nothing in other builds.
class GuestTurn {
public:
    explicit GuestTurn(HostContext& context) noexcept : context_(context) {
        if constexpr (thread_sanitized) begin();
    }
    ~GuestTurn() {
        if constexpr (thread_sanitized) end();
    }
    GuestTurn(const GuestTurn&) = delete;
    GuestTurn& operator=(const GuestTurn&) = delete;

private:
    void begin() noexcept;
    void end() noexcept;

    [[maybe_unused]] HostContext& context_;
};

}  // namespace berth
