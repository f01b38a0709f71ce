#include "berth/runtime/component_gate.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "berth/async/guest_fiber.hpp"
#include "berth/base/format.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/runtime/call_tape.hpp"
#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/wasm_instance.hpp"

namespace berth {
namespace {

ByteView view(std::string_view text) noexcept { return as_bytes(text); }

}  // namespace

ComponentGate::ComponentGate(const WasmProgram& program, const WasmCallSetup& setup, const Limits& limits, CallRecord& record, HandlerBody& handler, std::span<const std::string> variables)
    : program_(program),
      setup_(setup),
      limits_(limits),
      record_(record),
      handler_(handler),
      variables_(variables),
      journal_(setup.tape != nullptr ? &setup.tape->host_calls() : nullptr),
      told_revoked_(setup.grants.revoked()),
      output_(setup.tape != nullptr ? setup.tape->output(setup.output) : setup.output),
      error_(setup.tape != nullptr ? setup.tape->error(setup.error) : setup.error),
      fiber_(GuestFiber::current()) {
    if (setup.instance == nullptr) return;
    auto& kept = setup.instance->objects();
    objects_ = std::move(kept.open);
    next_object_ = kept.next;
}

ComponentGate::~ComponentGate() {
    if (setup_.instance != nullptr) {
        // Whatever waits would wake this call.
        std::erase_if(objects_, [](const auto& each) { return !std::holds_alternative<std::unique_ptr<File>>(each.second) && !std::holds_alternative<std::unique_ptr<Directory>>(each.second); });
        auto& kept = setup_.instance->objects();
        kept.open = std::move(objects_);
        kept.next = next_object_;
    }
    if (setup_.metrics != nullptr && host_calls_ != 0) counts_.add_to(*setup_.metrics);
}

void ComponentGate::count(ComponentFunction function, HostOutcome outcome) noexcept { counts_.count(static_cast<std::uint32_t>(function), outcome); }

bool ComponentGate::stopped() const noexcept { return record_.stopped(); }

std::int32_t ComponentGate::end(Error error) {
    failure_ = std::move(error);
    return ends;
}

std::function<void()> ComponentGate::waker() {
    if (!waker_) waker_.emplace(&record_, fiber_);
    return waker_->handle();
}

void ComponentGate::let_handler_wake() {
    handler_wakes_ = true;
    handler_.on_change(waker());
}

std::int32_t ComponentGate::read_request(std::size_t most, ComponentAnswer& answer) {
    auto status = handler_.read_request(most, answer.bytes);
    if (status == component_pending && !handler_wakes_) {
        let_handler_wake();
        status = handler_.read_request(most, answer.bytes);  // it may have come in between
    }
    if (status == 0) {
        handled_.bytes_in += answer.bytes.size();
        if (handled_.bytes_in > limits_[Limit::input]) return end(over_limit(Limit::input, limits_[Limit::input]));
    } else if (status == 1) {
        const auto trailers = handler_.request_trailers();
        if (trailers.empty()) return status;
        PackedText packed(scratch_);
        for (const auto& [name, value] : trailers) {
            packed.text(name);
            packed.text(value);
        }
        answer.bytes = scratch_;
    }
    return status;
}

std::int32_t ComponentGate::begin_response(CallResponse response) {
    if (response.status < 200 || response.status > 599) return end(Error(Code::bad_output, format("the handler answered with the status {}; an answer has one of 200 to 599", response.status)));
    begun_ = true;
    if (journal_ != nullptr) handled_.head = response;
    handler_.begin_response(std::move(response));
    return 0;
}

std::int32_t ComponentGate::response_room() {
    if (handler_.has_room()) return 0;
    if (!handler_wakes_) let_handler_wake();
    return handler_.has_room() ? 0 : component_pending;
}

std::int32_t ComponentGate::write_response(std::string_view part) {
    handled_.bytes_out += part.size();
    if (handled_.bytes_out > limits_[Limit::output]) return end(over_limit(Limit::output, limits_[Limit::output]));
    if (journal_ != nullptr) handled_.body.update(view(part));
    handler_.write_response(part);
    return 0;
}

std::int32_t ComponentGate::end_response(HandlerBody::Fields trailers) {
    handled_.whole = true;
    handler_.end_response(std::move(trailers));
    return 0;
}

std::shared_ptr<const NetworkGuard> ComponentGate::guard() {
    if (!guard_) guard_ = std::make_shared<NetworkGuard>(setup_.grants);
    return guard_;
}

void ComponentGate::wait(std::uint64_t due) {
    if (journal_ != nullptr && journal_->replays()) return;  // whatever was waited for has come
    const bool has_time = due != ~std::uint64_t{0};
    if (setup_.is_virtual) {
        // Nothing happens beside a deterministic guest: what has no time does not come. A moment for the watch to end it.
        if (has_time) return clock().wait_until(SteadyTime(std::chrono::nanoseconds(static_cast<std::int64_t>(due))), &record_);
        record_.wait_for(std::chrono::milliseconds(20));
        return;
    }
    if (!waker_) waker_.emplace(&record_, fiber_);
    waker_->wait_until(has_time ? SteadyTime(std::chrono::nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(due, INT64_MAX)))) : std::chrono::steady_clock::now() + std::chrono::hours(1));
    // A wait has no error that it could answer with.
    if (has_time && setup_.grants.was_revoked(Capability::time_sleep)) record_.request_stop(StopCause::revoked);
}

std::uint64_t ComponentGate::add(Object object) {
    if (objects_.size() >= limits_[Limit::handles]) return 0;
    objects_.emplace(next_object_, std::move(object));
    return next_object_++;
}

std::int32_t ComponentGate::require(Capability capability, std::string_view value) {
    const auto& grants = setup_.grants;
    const bool allowed = value.empty() ? grants.holds(capability) : grants.holds(capability, value);
    if (journal_ != nullptr && !component_table()[function_].row.needs.checked_by_gate()) journal_->used(capability, value, allowed);
    if (!allowed) return deny(grants.denial(capability, value));
    counts_.use(capability);
    return 0;
}

void ComponentGate::used(Capability capability, std::string_view value) {
    if (journal_ != nullptr) journal_->used(capability, value, true);
    counts_.use(capability);
}

void ComponentGate::pin(std::uint64_t number, const IpAddress& address) {
    const auto found = looked_up_.find(number);
    if (found == looked_up_.end()) return;
    auto& names = pinned_[address];
    if (std::find(names.begin(), names.end(), found->second) == names.end()) names.push_back(found->second);
}

std::span<const std::string> ComponentGate::names_of(const IpAddress& address) const noexcept {
    const auto found = pinned_.find(address);
    return found == pinned_.end() ? std::span<const std::string>() : std::span<const std::string>(found->second);
}

std::int32_t ComponentGate::deny(const Denial& denial) {
    counts_.refuse(denial.capability);
    const auto& name = component_table().qualified(function_);
    if (setup_.denials != nullptr) setup_.denials->denied("component", name, denial);
    failure_ = denial.to_error();
    failure_->set_where(name);
    return denied;
}

std::int32_t ComponentGate::deny_origin(Capability capability, std::string_view origin) {
    if (journal_ != nullptr) journal_->used(capability, origin, false);
    return deny(setup_.grants.denial(capability, origin));
}

ComponentHost::Next ComponentGate::execute(const ComponentOp& op, const HostFunction& function, ComponentAnswer& answer) {
    const auto& needs = function.row.needs;
    if (op.object != 0 && op.object < lost_below_ && !function.row.pure && op.function != ComponentFunction::file_close && !objects_.contains(op.object)) {
        failure_ = Error(Code::host_restarted, "the host ended while the call ran, and what it had open ended with it; the call cannot go on");
        failure_->set_where(component_table().qualified(function_));
        return Next::ends;
    }
    answer.status = needs.checked_by_gate() ? require(needs.capability()) : 0;
    if (answer.status == 0) answer.status = component_body(op.function)(*this, op, answer);
    if (answer.status == component_pending) return Next::proceed;
    count(op.function, answer.status == denied ? HostOutcome::denied : answer.status == ends ? HostOutcome::error : HostOutcome::ok);
    if (answer.status == denied) return Next::denied;
    if (answer.status == ends) return Next::ends;
    if (setup_.is_virtual && clock().is_over()) {
        failure_ = Error(Code::timeout, "the time that the call may take on its virtual clock is over");
        failure_->set_fix("raise the limit wall (--limit wall=…, limits: {wall: …})");
        return Next::ends;
    }
    return Next::proceed;
}

ComponentHost::Next ComponentGate::perform(const ComponentOp& op, ComponentAnswer& answer) {
    // What still runs beside a guest that was ended does nothing more.
    if (is_over_) return Next::ends;
    const auto next = perform_one(op, answer);
    is_over_ = next == Next::ends;
    return next;
}

ComponentHost::Next ComponentGate::perform_one(const ComponentOp& op, ComponentAnswer& answer) {
    function_ = static_cast<std::uint32_t>(op.function);
    const auto& function = component_table()[function_];
    if (host_calls_ >= limits_[Limit::host_calls]) {
        failure_ = over_limit(Limit::host_calls, limits_[Limit::host_calls]);
        return Next::ends;
    }
    const auto next = journal_ == nullptr || function.row.pure ? execute(op, function, answer) : through_journal(op, function, answer);
    // Looking for what is not there yet is no call: how often that happens is nobody's doing.
    if (answer.status != component_pending) ++host_calls_;
    return next;
}

ComponentHost::Next ComponentGate::journal_failed() {
    failure_ = journal_->failure();
    return Next::ends;
}

void ComponentGate::record_revocations() {
    const auto fresh = setup_.grants.revoked() & ~told_revoked_;
    if (fresh == 0 || journal_ == nullptr || journal_->replays()) return;
    told_revoked_ |= fresh;
    for (auto rest = fresh; rest != 0; rest &= rest - 1) journal_->revoked(static_cast<Capability>(std::countr_zero(rest)));
}

ComponentHost::Next ComponentGate::through_journal(const ComponentOp& op, const HostFunction& function, ComponentAnswer& answer) {
    record_revocations();
    const auto next = recorded(op, function, answer);
    record_revocations();
    return next;
}

ComponentHost::Next ComponentGate::recorded(const ComponentOp& op, const HostFunction& function, ComponentAnswer& answer) {
    const auto& name = component_table().qualified(function_);
    const auto& needs = function.row.needs;
    if (needs.checked_by_gate()) {
        if (journal_->replays()) {
            if (const auto refused = journal_->refusal(name)) {
                deny(setup_.grants.denial(*refused, {}));
                return Next::denied;
            }
        } else if (require(needs.capability()) != 0) {
            if (journal_->refused(name, needs.capability()) == HostJournal::Next::failed || journal_->seen(function) == HostJournal::Next::failed) return journal_failed();
            return Next::denied;
        }
    }
    Bytes written;
    JournalPut arguments(written);
    for (const auto number : {op.object, op.a, op.b, op.c}) arguments.length(number);
    arguments.bytes(view(op.bytes));
    ByteView outcome;
    auto next = Next::ends;
    switch (journal_->before(name, function, written, outcome)) {
        case HostJournal::Next::failed: return journal_failed();
        case HostJournal::Next::served: return serve(op, outcome, answer);
        case HostJournal::Next::unknown:
            // The call's own outputs went with it.
            if (journal_->recovers() && (op.function == ComponentFunction::stdout_write || op.function == ComponentFunction::stderr_write)) {
                next = execute(op, function, answer);
                break;
            }
            failure_ = Error(Code::unknown_outcome, "the host stopped while this was under way; whether it happened is not known");
            break;
        case HostJournal::Next::execute: next = execute(op, function, answer); break;
    }
    written.clear();
    JournalPut out(written);
    if (next == Next::ends) {
        out.plain(OutcomeKind::ended);
        out.text(berth::name(failure_ ? failure_->code() : Code::cancelled));
        out.text(failure_ ? failure_->message() : std::string());
    } else {
        out.plain(OutcomeKind::answered);
        out.plain(answer.status);
        out.length(answer.x);
        out.length(answer.y);
        out.bytes(view(answer.bytes));
    }
    if (journal_->after(function, written) == HostJournal::Next::failed) return journal_failed();
    if (next != Next::ends && journal_->seen(function) == HostJournal::Next::failed) return journal_failed();
    return next;
}

void ComponentGate::restore(const ComponentOp& op, const ComponentAnswer& answer, std::size_t size) {
    using enum ComponentFunction;
    if (answer.status != 0) return;
    switch (op.function) {
        case file_preopens: {
            ComponentAnswer again;
            component_body(op.function)(*this, op, again);  // opens the mounted directories under the numbers that they had
            return;
        }
        case stdin_read: {
            std::array<std::uint8_t, 4096> part;
            while (size > 0) {
                const auto got = input().read(MutableBytes(part).first(std::min(size, part.size())));
                if (got <= 0) return;
                size -= static_cast<std::size_t>(got);
            }
            return;
        }
        case request_read: {
            std::string_view part;
            while (size > 0 && handler_.read_request(size, part) == 0 && !part.empty()) size -= std::min(size, part.size());
            return;
        }
        case file_close: close(op.object); return;
        case file_open:
        case http_handle:
        case tcp_create:
        case tcp_accept:
        case udp_create:
        case name_lookup: lost_below_ = next_object_ = std::max(next_object_, answer.x + 1); return;
        default: return;
    }
}

ComponentHost::Next ComponentGate::serve(const ComponentOp& op, ByteView outcome, ComponentAnswer& answer) {
    JournalGet in(outcome);
    OutcomeKind kind{};
    const auto unreadable = [&] {
        failure_ = Error(Code::journal_invalid, format("a recorded outcome of {} cannot be read", component_table().qualified(function_)));
        return Next::ends;
    };
    if (!in.plain(kind)) return unreadable();
    if (kind == OutcomeKind::ended) {
        std::string_view code;
        std::string_view message;
        if (!in.text(code) || !in.text(message) || !code_named(code)) return unreadable();
        failure_ = Error(*code_named(code), std::string(message));
        failure_->set_where(component_table().qualified(function_));
        return Next::ends;
    }
    ByteView bytes;
    if (kind != OutcomeKind::answered || !in.plain(answer.status) || !in.length(answer.x) || !in.length(answer.y) || !in.bytes(bytes) || !in.at_end()) return unreadable();
    if (journal_->recovers()) restore(op, answer, bytes.size());
    scratch_.assign(as_text(bytes));
    answer.bytes = scratch_;
    count(op.function, answer.status == denied ? HostOutcome::denied : HostOutcome::ok);
    if (answer.status == denied) {
        failure_ = Error(Code::capability_denied, "refused when it was recorded");
        failure_->set_where(component_table().qualified(function_));
    } else if (op.function == ComponentFunction::stdout_write || op.function == ComponentFunction::stderr_write) {
        journal_->output(view(op.bytes));
    }
    if (journal_->seen(component_table()[function_]) == HostJournal::Next::failed) return journal_failed();
    return answer.status == denied ? Next::denied : Next::proceed;
}

}  // namespace berth
