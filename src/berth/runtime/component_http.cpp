// Requests that components send.

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/component_gate.hpp"

namespace berth::component_bodies {
namespace {

constexpr std::int32_t unreadable_address = 4;
constexpr std::int32_t not_sent = 5;

std::optional<std::chrono::nanoseconds> timeout_of(std::uint64_t nanoseconds) {
    if (nanoseconds == 0) return std::nullopt;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(nanoseconds, std::uint64_t{3600} * 1'000'000'000)));
}

std::int32_t refused(ComponentGate& gate, ComponentAnswer& answer, std::int32_t status, std::string text) {
    gate.scratch() = std::move(text);
    answer.bytes = gate.scratch();
    return status;
}

/// Why an exchange failed, as the guest is told.
std::int32_t failure_of(ComponentGate& gate, const HttpExchange& exchange, ComponentAnswer& answer) {
    const auto error = exchange.error();
    if (error.code() == Code::capability_denied) {
        const auto denial = gate.guard()->take_denial();
        if (denial) gate.deny(*denial);
        const bool is_address = denial && denial->scope.find("address") != std::string::npos;
        return refused(gate, answer, is_address ? 3 : 2, error.message());
    }
    return refused(gate, answer, error.code() == Code::output_too_large ? 4 : 5, error.message());
}

/// A request under way ends with the grant that it was sent under: the guest is told that it is denied.
std::int32_t revoked(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    const auto sent = gate.sent_under(op.object);
    if (!sent || !gate.grants().was_revoked(*sent)) return 0;
    gate.close(op.object);
    gate.deny_origin(*sent, {});
    return refused(gate, answer, 2, "the grant was revoked");
}

}  // namespace

std::int32_t http_handle(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    OutgoingRequest request;
    JournalGet in(as_bytes(op.bytes));
    std::string_view method;
    std::string_view address;
    std::uint64_t timeouts[3] = {};
    if (!in.text(method) || !in.text(address)) return unreadable_address;
    for (auto& timeout : timeouts) {
        if (!in.length(timeout)) return unreadable_address;
    }
    while (!in.at_end()) {
        std::string_view name;
        std::string_view value;
        if (!in.text(name) || !in.text(value)) return unreadable_address;
        request.fields.emplace_back(name, value);
    }
    auto url = Url::parse(address);
    if (!url) return refused(gate, answer, unreadable_address, url.error().message());
    request.method = method;
    request.url = std::move(*url);
    request.has_body = op.a != 0;
    request.connect_timeout = timeout_of(timeouts[0]);
    request.first_byte_timeout = timeout_of(timeouts[1]);
    request.between_bytes_timeout = timeout_of(timeouts[2]);
    request.max_response = gate.limits()[Limit::input];

    const auto capability = NetworkGuard::needed_for(method);
    const auto guard = gate.guard();
    // A revoked grant is gone from the grants of the call, not from the copy that the guard holds.
    if (!gate.grants().holds(capability, request.url.text())) return gate.deny_origin(capability, request.url.origin());
    gate.used(capability, request.url.origin());
    auto opened = gate.setup().network.open(std::move(request), guard, gate.waker());
    if (!opened) {
        if (const auto denial = guard->take_denial()) return gate.deny(*denial);
        return refused(gate, answer, not_sent, opened.error().message());
    }
    answer.x = gate.add(std::move(*opened));
    gate.note_sent(answer.x, capability);
    if (answer.x == 0) return refused(gate, answer, not_sent, "too many open handles");
    return 0;
}

std::int32_t http_head(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    if (const auto status = revoked(gate, op, answer); status != 0) return status;
    const auto* exchange = gate.find<HttpExchange>(op.object);
    if (exchange == nullptr) return refused(gate, answer, 5, "the request was given up");
    switch (exchange->head()) {
        case HttpExchange::State::pending: return component_pending;
        case HttpExchange::State::failed: return failure_of(gate, *exchange, answer);
        case HttpExchange::State::ready: break;
    }
    const auto response = exchange->response();
    PackedText packed(gate.scratch());
    for (const auto& [name, value] : response.fields) {
        packed.text(name);
        packed.text(value);
    }
    answer.x = response.status;
    answer.bytes = gate.scratch();
    return 0;
}

std::int32_t http_read(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    if (const auto status = revoked(gate, op, answer); status != 0) return status;
    auto* exchange = gate.find<HttpExchange>(op.object);
    if (exchange == nullptr) return refused(gate, answer, 5, "the request was given up");
    auto& bytes = gate.scratch();
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(op.a, 1 << 20)));
    std::size_t count = 0;
    switch (exchange->read({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}, count)) {
        case HttpExchange::Read::pending: return component_pending;
        case HttpExchange::Read::end: return 1;
        case HttpExchange::Read::failed: return failure_of(gate, *exchange, answer);
        case HttpExchange::Read::some: break;
    }
    answer.bytes = std::string_view(bytes).substr(0, count);
    gate.network_use().in += count;
    return 0;
}

std::int32_t http_room(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    const auto* exchange = gate.find<HttpExchange>(op.object);
    answer.x = exchange == nullptr ? 64 * 1024 : exchange->room();
    return answer.x == 0 ? component_pending : 0;
}

std::int32_t http_write(ComponentGate& gate, const ComponentOp& op, ComponentAnswer&) {
    if (auto* exchange = gate.find<HttpExchange>(op.object)) {
        exchange->write(as_bytes(op.bytes));
        gate.network_use().out += op.bytes.size();
    }
    return 0;
}

std::int32_t http_finish(ComponentGate& gate, const ComponentOp& op, ComponentAnswer&) {
    if (auto* exchange = gate.find<HttpExchange>(op.object)) exchange->finish();
    return 0;
}

std::int32_t http_close(ComponentGate& gate, const ComponentOp& op, ComponentAnswer&) {
    gate.close(op.object);
    return 0;
}

}  // namespace berth::component_bodies
