#include "berth/runtime/handler_body.hpp"

namespace berth {

std::int32_t WholeBody::read_request(std::size_t most, std::string_view& part) {
    part = request_.substr(0, most);
    request_.remove_prefix(part.size());
    return part.empty() ? 1 : 0;
}

std::optional<HandlerBody::Answer> WholeBody::take_answer() {
    if (!response_) return std::nullopt;
    return Answer{std::move(*response_), std::move(body_)};
}

}  // namespace berth
