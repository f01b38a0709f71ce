#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string_view>
#include <utility>

#include "berth/base/error.hpp"

namespace berth {

/// Why something is to stop. The first request decides.
enum class CancelCause : std::uint8_t { none, cancelled, client_gone, shutting_down };
std::string_view name(CancelCause cause) noexcept;

namespace detail {
struct CancelState {
    std::stop_source source;
    std::atomic<CancelCause> cause{CancelCause::none};
};
}  // namespace detail

/// The listening side of a request to stop. Cheap to copy, safe from any thread. One made by default never fires.
class CancelToken {
public:
    CancelToken() noexcept = default;

    bool requested() const noexcept { return state_ && state_->cause.load(std::memory_order_acquire) != CancelCause::none; }
    bool can_be_requested() const noexcept { return state_ != nullptr; }
    CancelCause cause() const noexcept { return state_ ? state_->cause.load(std::memory_order_acquire) : CancelCause::none; }

    /// What the stopped work answers: `shutting_down`, or `cancelled` with the cause as message.
    Error error() const;

private:
    friend class CancelSource;
    template <class F>
    friend class CancelCallback;
    explicit CancelToken(std::shared_ptr<detail::CancelState> state) noexcept : state_(std::move(state)) {}

    std::shared_ptr<detail::CancelState> state_;  // shared by the source and its tokens, which end independently
};

/// The asking side. Destroying it does not cancel.
class CancelSource {
public:
    CancelSource() : state_(std::make_shared<detail::CancelState>()) {}

    CancelToken token() const noexcept { return CancelToken(state_); }

    /// Runs the callbacks on this thread. False when it was cancelled before. `cause` is not `none`.
    bool cancel(CancelCause cause = CancelCause::cancelled) noexcept {
        auto expected = CancelCause::none;
        if (!state_->cause.compare_exchange_strong(expected, cause, std::memory_order_acq_rel)) return false;
        state_->source.request_stop();
        return true;
    }
    bool requested() const noexcept { return state_->cause.load(std::memory_order_acquire) != CancelCause::none; }

private:
    std::shared_ptr<detail::CancelState> state_;
};

/// Calls `f` once, on the thread that cancels, or at once when that has happened already. After the destructor has
/// returned `f` neither runs nor will. `f` does not throw, and wakes others only by posting to them.
template <class F>
class CancelCallback {
public:
    CancelCallback(const CancelToken& token, F f) : callback_(token.state_ ? token.state_->source.get_token() : std::stop_token(), std::move(f)) {}
    CancelCallback(const CancelCallback&) = delete;
    CancelCallback& operator=(const CancelCallback&) = delete;

private:
    std::stop_callback<F> callback_;
};

}  // namespace berth
