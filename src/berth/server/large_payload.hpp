#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "berth/async/payload_memory.hpp"
#include "berth/async/task.hpp"
#include "berth/net/http_message.hpp"

namespace berth {

/// Takes the body of a request that comes in parts, as far as the memory of payloads goes: when that is used up nothing is read from
/// the client. The connection ends it with request_timeout when the client takes too long, or sends too slowly.
/// Continues in the loop of the connection.
enum class BodyAs : std::uint8_t { payload, text };  // a text never lies in a file
Task<Result<std::shared_ptr<PayloadBuffer>>> collect_body(HttpRequest& request, std::shared_ptr<PayloadMemory> memory, BodyAs as);

/// An answer of three pieces, of which the middle is not copied.
class LargeAnswer final : public HttpBodySource {
public:
    LargeAnswer(std::string before, std::shared_ptr<PayloadBuffer> middle, std::string after) : before_(std::move(before)), middle_(std::move(middle)), after_(std::move(after)), length_(before_.size() + middle_->size() + after_.size()) {}

    Task<Result<std::string>> next(CancelToken gone) override;
    std::optional<std::uint64_t> length() const noexcept override { return length_; }

private:
    std::string before_;
    std::shared_ptr<PayloadBuffer> middle_;  // with the outcome it is of
    std::string after_;
    const std::uint64_t length_;
    std::size_t sent_ = 0;                   // of the middle
};

}  // namespace berth
