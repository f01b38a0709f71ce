#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/runtime/outcome.hpp"

namespace berth {

/// The body of a request as a handler reads it, and its answer as it writes it. On the thread of the call.
class HandlerBody {
public:
    using Fields = std::vector<std::pair<std::string, std::string>>;  // names in lower case
    struct Answer {
        CallResponse head;
        std::string body;
    };

    virtual ~HandlerBody() = default;

    /// Whether its request is still coming, so that a guest that wants it will wait.
    virtual bool waits_for_others() const { return false; }
    /// The input of the call, which is the body unless it comes in parts. Lives as long as the call.
    virtual void begin(std::string_view input) = 0;
    /// 0 with a part of at most `most` bytes, 1 at the end, 2 when no more will come, component_pending. The part stays valid
    /// until the next read.
    virtual std::int32_t read_request(std::size_t most, std::string_view& part) = 0;
    /// What followed the body, when its end was read.
    virtual Fields request_trailers() const { return {}; }
    virtual void begin_response(CallResponse response) = 0;
    virtual bool has_room() = 0;
    virtual void write_response(std::string_view part) = 0;
    virtual void end_response(Fields trailers) = 0;
    /// Called, from any thread, when after component_pending or without room that may have changed.
    virtual void on_change(std::function<void()> wake) { static_cast<void>(wake); }
    /// The whole answer, once the guest has ended; nothing when there is none, or it was handed on while it was made.
    virtual std::optional<Answer> take_answer() = 0;
};

/// Both whole in memory.
class WholeBody final : public HandlerBody {
public:
    void begin(std::string_view input) override { request_ = input; }
    std::int32_t read_request(std::size_t most, std::string_view& part) override;
    void begin_response(CallResponse response) override { response_ = std::move(response); }
    bool has_room() override { return true; }
    void write_response(std::string_view part) override { body_.append(part); }
    void end_response(Fields) override {}
    std::optional<Answer> take_answer() override;

private:
    std::string_view request_;
    std::optional<CallResponse> response_;
    std::string body_;
};

}  // namespace berth
