#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "berth/async/cancel.hpp"
#include "berth/async/reactor.hpp"
#include "berth/async/task.hpp"
#include "berth/net/body_pipe.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/handler_body.hpp"
#include "berth/runtime/invoker.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// A call of a handler whose request may still be coming and whose answer goes out while the guest makes it.
///
/// An answer that is whole before the loop gets to look at it, as most short ones are, is sent whole. Otherwise its head is
/// sent as soon as the guest has set it, and its body as the client takes it.
///
/// HandlerBody belongs to the guest's thread, everything else to the loop it was made in. Owners: whoever answers the
/// request, and the call until it has ended.
class StreamedCall final : public HandlerBody, public std::enable_shared_from_this<StreamedCall> {
public:
    enum class Body : std::uint8_t { wanted, unwanted };  // of the answer

    /// `request` null: the body is the input of the call. The call ends when `gone` fires.
    StreamedCall(std::shared_ptr<BodyPipe> request, Body answer, const CancelToken& gone);

    /// Starts the call; ends when it has ended, or the head of its answer goes out on its own. Once.
    Task<void> start(Invoker& invoker, Call call);
    bool has_ended() const noexcept { return outcome_.has_value(); }
    bool goes_out() const;
    /// How it ended; the answer is in it unless it goes out on its own.
    Outcome& outcome() noexcept { return *outcome_; }
    /// When the answer goes out on its own: its head, taken once, and what makes its body.
    CallResponse take_head();
    std::unique_ptr<HttpBodySource> source(std::optional<std::uint64_t> length);

    bool waits_for_others() const override { return request_ != nullptr; }
    void begin(std::string_view input) override { input_ = input; }
    std::int32_t read_request(std::size_t most, std::string_view& part) override;
    Fields request_trailers() const override { return request_ ? request_->trailers() : Fields(); }
    void begin_response(CallResponse response) override;
    bool has_room() override;
    void write_response(std::string_view part) override;
    void end_response(Fields trailers) override;
    void on_change(std::function<void()> wake) override;
    std::optional<Answer> take_answer() override;

private:
    class Source;
    struct Driver;
    enum class Going : std::uint8_t { undecided, out, whole };  // how the answer leaves

    static Driver drive(std::shared_ptr<StreamedCall> self, Task<Outcome> call);
    /// Decides once; false when it was decided the other way before.
    bool decide(Going going);
    void wake_loop();
    auto started(std::coroutine_handle<> driver);
    auto changed();

    Reactor* const reactor_;                 // null: the call runs where it is made
    const std::shared_ptr<BodyPipe> request_;  // owners: this and the connection
    std::atomic<bool> unwanted_;             // the body of the answer
    std::atomic<bool> whole_{false};         // the guest has made all of its answer
    BodyPipe answer_;
    CancelSource stop_;
    struct Stop {
        StreamedCall* call;
        void operator()() const noexcept;
    };
    const CancelToken gone_;
    CancelCallback<Stop> on_gone_;
    // The guest's.
    std::string_view input_;
    std::string part_;
    // Shared.
    mutable std::mutex mutex_;
    std::optional<CallResponse> head_;       // guarded by mutex_
    Going going_ = Going::undecided;         // guarded by mutex_
    // The loop's.
    std::coroutine_handle<> waiting_;
    bool has_begun_ = false;
    std::optional<Outcome> outcome_;
};

}  // namespace berth
