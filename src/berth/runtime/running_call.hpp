#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "berth/async/cancel.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/capability/capability.hpp"
#include "berth/runtime/function.hpp"

namespace berth {

struct Call;

/// What others may do to one call while an engine runs it. Called from any thread, one at a time, between the construction
/// and the destruction of the CallAttachment that it was given to.
class CallControl {
public:
    virtual ~CallControl() = default;
    /// Ends the call. Once is enough; later ones do nothing.
    virtual void cancel(CancelCause cause) noexcept = 0;
    /// Takes the capability away: host calls that start after this returns are denied. False when the call did not hold it.
    virtual bool revoke(Capability capability) noexcept = 0;
};

/// Where a call is between being received and its answer.
enum class RunningState : std::uint8_t { waiting, running };
std::string_view name(RunningState state) noexcept;

/// One call as others see it at one moment.
struct RunningCallInfo {
    std::string id;
    std::string request_id;
    FunctionRef function;
    RunningState state = RunningState::waiting;
    WallTime started;   // when it was received
    std::uint8_t depth = 0;
};

/// The entry of one call among the running ones, part of the call itself. What reaches it before an engine has it is kept
/// and handed to the engine when it does.
class RunningCall {
public:
    RunningCall() = default;
    RunningCall(const RunningCall&) = delete;
    RunningCall& operator=(const RunningCall&) = delete;

private:
    friend class RunningCalls;
    friend class CallAttachment;

    const Call* call_ = nullptr;                // guarded by the mutex of the list it is in
    FunctionRef function_;                      // likewise
    RunningCall* next_ = nullptr;               // likewise
    RunningCall* previous_ = nullptr;           // likewise
    std::mutex mutex_;                          // locked behind the list's; what is below
    CallControl* control_ = nullptr;
    RunningState state_ = RunningState::waiting;
    std::uint64_t revoked_ = 0;                 // asked for before there was a control
    CancelCause cancelled_ = CancelCause::none;
};

/// While this lives, others reach the call through `control`. Engines make one around the run of a call; `running` may be
/// null, then nobody reaches it.
class CallAttachment {
public:
    CallAttachment(RunningCall* running, CallControl& control, RunningState state = RunningState::running);
    ~CallAttachment();
    CallAttachment(const CallAttachment&) = delete;
    CallAttachment& operator=(const CallAttachment&) = delete;

private:
    RunningCall* running_;
};

/// All calls of a runtime that are not answered yet. Any thread; adding and removing one takes no memory.
class RunningCalls {
public:
    /// One call while it is among the running ones. What `call` says of itself (ids, depth, time) does not change meanwhile.
    class Member {
    public:
        Member(RunningCalls& calls, RunningCall& running, const Call& call, FunctionRef function);
        ~Member();
        Member(const Member&) = delete;
        Member& operator=(const Member&) = delete;

    private:
        RunningCalls& calls_;
        RunningCall& running_;
    };

    /// Oldest first.
    std::vector<RunningCallInfo> list() const;
    /// Fails with not_found when no such call is running.
    Result<void> cancel(std::string_view id, CancelCause cause);
    /// The same; the value is false when the call did not hold the capability.
    Result<bool> revoke(std::string_view id, Capability capability);

private:
    /// The call of this id with its mutex locked, or an empty lock.
    RunningCall* find(std::string_view id, std::unique_lock<std::mutex>& lock) const;

    mutable std::mutex mutex_;
    RunningCall* first_ = nullptr;  // guarded by mutex_
    RunningCall* last_ = nullptr;   // guarded by mutex_
};

}  // namespace berth
