#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "berth/runtime/outcome.hpp"

namespace berth {

/// The body of a request as a handler reads it, and its answer as it writes it. On the thread of the call.
class HandlerBody {
public:
    virtual ~HandlerBody() = default;

    /// 0 with a part of at most `most` bytes, 1 at the end, 2 when the sender has gone, component_pending. The part stays valid
    /// until the next read.
    virtual std::int32_t read_request(std::size_t most, std::string_view& part) = 0;
    /// Each fails with what ends the call.
    virtual Result<void> begin_response(CallResponse response) = 0;
    virtual bool has_room() const = 0;
    virtual Result<void> write_response(std::string_view part) = 0;
    virtual Result<void> end_response() = 0;
};

/// Both whole in memory.
class WholeBody final : public HandlerBody {
public:
    /// `request` outlives it; `most` bounds the answer.
    WholeBody(std::string_view request, std::uint64_t most) : request_(request), most_(most) {}

    std::int32_t read_request(std::size_t most, std::string_view& part) override;
    Result<void> begin_response(CallResponse response) override;
    bool has_room() const override { return true; }
    Result<void> write_response(std::string_view part) override;
    Result<void> end_response() override;

    /// What the handler answered; nothing when it did not, or not to the end.
    std::optional<CallResponse> response;
    std::string body;
    bool is_whole = false;

private:
    std::string_view request_;
    std::uint64_t most_;
};

}  // namespace berth
