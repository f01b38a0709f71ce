#include "berth/runtime/handler_body.hpp"

namespace berth {

std::int32_t WholeBody::read_request(std::size_t most, std::string_view& part) {
    part = request_.substr(0, most);
    request_.remove_prefix(part.size());
    return part.empty() ? 1 : 0;
}

Result<void> WholeBody::begin_response(CallResponse head) {
    response = std::move(head);
    return {};
}

Result<void> WholeBody::write_response(std::string_view part) {
    if (body.size() + part.size() > most_) return fail(over_limit(Limit::output, most_));
    body.append(part);
    return {};
}

Result<void> WholeBody::end_response() {
    is_whole = true;
    return {};
}

}  // namespace berth
