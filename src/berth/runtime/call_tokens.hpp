#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "berth/base/clock.hpp"
#include "berth/base/hash.hpp"
#include "berth/capability/capability.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

struct Policy;

/// What the token of a running call stands for.
struct CallGrant {
    std::string request_id;
    std::string function;
    std::string version;
    std::shared_ptr<const AuthSubject> auth;    // null: anonymous; shared with the call
    std::uint8_t depth = 0;
    std::string trace_parent;                   // of the call's span; empty: none
    SteadyTime deadline;                        // of the token
    SteadyTime call_deadline = SteadyTime::max();  // of the call; what it calls ends with it
    std::function<void(LogEntry)> log;          // adds to the log of the call
    const Policy* policy = nullptr;             // of the function, outlives the call; null: the token opens everything

    /// Whether the token opens what asks for this; `name`: of the function to be called.
    Result<void> admits(Capability capability, std::string_view name = {}) const;
};

/// Tokens of running calls: they open the internal API for the process they were given to, from its launch until its
/// call has ended. Kept as digests only. Any thread.
class CallTokens : public std::enable_shared_from_this<CallTokens> {
public:
    /// Removes its token when it goes.
    class Held {
    public:
        Held() = default;
        Held(std::shared_ptr<CallTokens> tokens, std::string text, Digest digest) : tokens_(std::move(tokens)), text_(std::move(text)), digest_(digest) {}
        ~Held();
        Held(Held&& other) noexcept = default;
        Held& operator=(Held&& other) noexcept = default;
        const std::string& text() const noexcept { return text_; }  // 64 lower-case hexadecimal digits

    private:
        std::shared_ptr<CallTokens> tokens_;  // with the engine, and every call that still runs
        std::string text_;
        Digest digest_{};
    };
    /// Fails with runtime_bug when the system has no randomness to give; there is no weaker source.
    Result<Held> issue(CallGrant grant);

    /// Null when no running call has this token.
    std::shared_ptr<const CallGrant> find(std::string_view token) const;
    std::size_t size() const;

private:
    friend class Held;
    struct Hash {
        std::size_t operator()(const Digest& digest) const noexcept;
    };
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<Digest, std::shared_ptr<const CallGrant>, Hash> grants;  // guarded by mutex
    };
    Shard& shard_of(const Digest& digest) noexcept { return shards_[digest[0] % shards_.size()]; }
    const Shard& shard_of(const Digest& digest) const noexcept { return shards_[digest[0] % shards_.size()]; }

    std::array<Shard, 16> shards_;
};

}  // namespace berth
