#include "berth/runtime/component_call.hpp"

#include <algorithm>
#include <bit>
#include <array>
#include <functional>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/engine/component.hpp"
#include "berth/runtime/call_tape.hpp"
#include "berth/runtime/component_gate.hpp"
#include "berth/runtime/running_call.hpp"
#include "berth/runtime/wasm_instance.hpp"

namespace berth {
namespace {

struct Asked {
    std::string_view interface;
    Capability capability;
    bool required;
};

constexpr std::array asked_table{
    Asked{"wasi:clocks/wall-clock@", Capability::time_now, true},
    Asked{"wasi:clocks/monotonic-clock@", Capability::time_now, true},
    Asked{"wasi:clocks/monotonic-clock@", Capability::time_sleep, false},
    Asked{"wasi:random/random@", Capability::random_secure, true},
    Asked{"wasi:random/insecure@", Capability::random_number, true},
    Asked{"wasi:random/insecure-seed@", Capability::random_number, true},
    Asked{"wasi:cli/environment@", Capability::env_read, false},
    Asked{"wasi:http/outgoing-handler@", Capability::net_fetch, false},
    Asked{"wasi:http/outgoing-handler@", Capability::net_send, false},
    Asked{"wasi:filesystem/types@", Capability::fs_read, false},
    Asked{"wasi:filesystem/types@", Capability::fs_write, false},
    Asked{"wasi:filesystem/types@", Capability::fs_delete, false},
    Asked{"wasi:sockets/tcp@", Capability::net_connect, false},
    Asked{"wasi:sockets/tcp@", Capability::net_listen, false},
    Asked{"wasi:sockets/ip-name-lookup@", Capability::net_connect, false},
    Asked{"wasi:sockets/udp@", Capability::net_datagram, false},
};

constexpr std::uint64_t fuel_of_a_host_call = 100;
constexpr std::string_view handler_entry = "wasi:http/incoming-handler.handle";
constexpr std::string_view command_entry = "wasi:cli/run.run";

/// What a call of a component enters, in a form that a journal keeps: the arguments of a command, or the head of a request.
struct Entered {
    std::vector<std::string> arguments;
    CallRequest request;

    Bytes encode(bool as_handler) const {
        Bytes out;
        JournalPut put(out);
        if (!as_handler) {
            put.length(arguments.size());
            for (const auto& argument : arguments) put.text(argument);
            return out;
        }
        for (const auto* text : {&request.method, &request.authority, &request.target}) put.text(*text);
        put.plain(static_cast<std::uint8_t>(request.https ? 1 : 0));
        put.length(request.fields.size());
        for (const auto& [name, value] : request.fields) {
            put.text(name);
            put.text(value);
        }
        return out;
    }

    static Result<Entered> decode(ByteView bytes, bool as_handler) {
        Entered entered;
        JournalGet in(bytes);
        std::uint64_t count = 0;
        const auto text = [&](std::string& out) {
            std::string_view view;
            const bool whole = in.text(view);
            out = view;
            return whole;
        };
        bool whole = true;
        if (as_handler) {
            std::uint8_t https = 0;
            whole = text(entered.request.method) && text(entered.request.authority) && text(entered.request.target) && in.plain(https);
            entered.request.https = https != 0;
        }
        whole = whole && in.length(count) && count <= bytes.size();
        for (std::uint64_t i = 0; whole && i < count; ++i) {
            if (as_handler) {
                auto& field = entered.request.fields.emplace_back();
                whole = text(field.first) && text(field.second);
            } else {
                whole = text(entered.arguments.emplace_back());
            }
        }
        if (!whole || !in.at_end()) return fail(Code::journal_invalid, "the recorded arguments are none of a component");
        return entered;
    }
};

/// How a handler answered, for a journal: status, fields and the hash of the body.
Bytes encode_response(const CallResponse& response, const Digest& body) {
    Bytes out;
    JournalPut put(out);
    put.plain(response.status);
    put.length(response.fields.size());
    for (const auto& [name, value] : response.fields) {
        put.text(name);
        put.text(value);
    }
    put.raw(body);
    return out;
}

Bytes encode_status(int status) {
    Bytes out;
    JournalPut(out).plain(static_cast<std::uint32_t>(status));
    return out;
}

std::optional<Error> error_of(const ComponentReport& report, const ComponentGate& host, const Limits& limits, const CallRecord& record, std::uint64_t fuel, bool begun, bool answered, bool as_handler, std::optional<ExitInfo>& exit) {
    switch (report.outcome) {
        case CallOutcome::returned: {
            if (fuel > limits[Limit::fuel]) return over_limit(Limit::fuel, limits[Limit::fuel]);
            const int status = report.exit_status.value_or(0);
            if (!as_handler) exit = ExitInfo{.status = status};
            if (status != 0) {
                Error error(Code::exit_nonzero, format("the program ended with status {}", status));
                error.set_exit_status(status & 0xFF);
                return error;
            }
            if (!as_handler || answered) return std::nullopt;
            if (begun) return Error(Code::bad_output, report.message.empty() ? "the handler did not finish the body of its response" : report.message);
            return Error(Code::bad_output, report.message.empty() ? "the handler ended without a response" : format("the handler answered with the error {}", report.message));
        }
        case CallOutcome::host_trapped:
            if (!host.failure() && record.stopped()) return stopped_error(record, limits[Limit::wall]);
            return host.failure() ? *host.failure() : Error(Code::runtime_bug, "a host function ended the call without saying why");
        case CallOutcome::out_of_fuel: return over_limit(Limit::fuel, limits[Limit::fuel]);
        case CallOutcome::stack_overflow: return Error(Code::stack_overflow, "calls are nested too deeply for the native stack of the guest");
        case CallOutcome::memory_denied: return over_limit(Limit::memory, limits[Limit::memory]);
        case CallOutcome::table_denied: return over_limit(Limit::table_elements, limits[Limit::table_elements]);
        case CallOutcome::stopped: return stopped_error(record, limits[Limit::wall]);
        case CallOutcome::machine_failed: return Error(Code::runtime_bug, "the machine could not give the guest the memory it may have");
        case CallOutcome::not_started: return Error(report.error == Code::ok ? Code::runtime_bug : report.error, report.message.empty() ? "no instance could be made" : report.message);
        case CallOutcome::trapped: {
            const auto trap = name(report.trap);
            Error error(Code::trap, trap.empty() ? report.message : format("the guest trapped: {}", trap));
            error.set_trap(std::string(trap));
            return error;
        }
    }
    return Error(Code::runtime_bug, "the engine reported an unknown outcome");
}

}  // namespace

std::vector<AskedCapability> asked_by_interfaces(std::span<const std::string> interfaces) {
    std::vector<AskedCapability> asked;
    for (const auto& row : asked_table) {
        for (const auto& interface : interfaces) {
            const bool known = std::any_of(asked.begin(), asked.end(), [&](const AskedCapability& each) { return each.capability == row.capability; });
            if (!known && interface.starts_with(row.interface)) asked.push_back({row.capability, format("imports {}", interface), row.required});
        }
    }
    return asked;
}

void run_component(const WasmProgram& program, const Call& call, const WasmCallSetup& setup, CallRecord& record, Outcome& outcome) {
    const auto start = setup.clock.steady();
    std::uint64_t bytes_in = call.input.bytes.size();
    NetworkUse network;
    const auto finish = [&] {
        outcome.timing.run = outcome.timing.total = setup.clock.steady() - start;
        outcome.usage.bytes_in = bytes_in;
    };
    const auto& limits = setup.limits;
    if (call.input.bytes.size() > limits[Limit::input]) {
        outcome.error = over_limit(Limit::input, limits[Limit::input]);
        return finish();
    }
    const auto& component = *program.component();
    if (!call.entry.empty()) {
        outcome.error = Error(Code::not_implemented, "this build calls wasi:http/incoming-handler and wasi:cli/run of components, no other export");
        return finish();
    }
    const bool as_handler = component.handles_http();
    auto* tape = setup.tape;

    Entered entered;
    const bool is_as_sent = call.request && tape == nullptr;  // nothing is kept of it, and nothing takes its place
    if (!as_handler) {
        entered.arguments.push_back(call.function);
        entered.arguments.insert(entered.arguments.end(), call.arguments.begin(), call.arguments.end());
    } else if (call.request) {
        if (!is_as_sent) entered.request = *call.request;
    } else {
        entered.request = {.method = "POST", .authority = "localhost", .target = "/"};
        entered.request.fields.emplace_back("content-type", call.input.media_type.empty() ? "application/json" : call.input.media_type);
        entered.request.fields.emplace_back("content-length", std::to_string(call.input.bytes.size()));
    }
    if (tape != nullptr) {
        if (const auto* recorded = tape->args()) {
            auto decoded = Entered::decode(*recorded, as_handler);
            if (!decoded) {
                outcome.error = decoded.error();
                return finish();
            }
            entered = std::move(*decoded);
        }
        if (const auto begun = tape->begin(as_handler ? handler_entry : command_entry, entered.encode(as_handler), limits); !begun) {
            outcome.error = begun.error();
            return finish();
        }
        // What was taken from an instance between its calls stands before what this one does without it.
        for (auto rest = setup.instance != nullptr ? setup.grants.revoked() : 0; rest != 0; rest &= rest - 1) tape->host_calls().revoked(static_cast<Capability>(std::countr_zero(rest)));
        for (auto rest = tape->revoked(); rest != 0; rest &= rest - 1) static_cast<void>(setup.grants.revoke(static_cast<Capability>(std::countr_zero(rest))));
    }
    const auto environment = setup.instance != nullptr ? setup.instance->environment() : granted_environment(program, setup.environment);
    WholeBody whole;
    HandlerBody& body = call.body != nullptr ? *call.body : whole;
    body.begin(call.input.bytes);
    auto fuel = std::min<std::uint64_t>(limits[Limit::fuel], static_cast<std::uint64_t>(unlimited_fuel));
    if (tape != nullptr) fuel = std::min(fuel, tape->fuel_bound());

    auto deadline = CallRecord::Clock::time_point::max();
    if (limits.bounds(Limit::wall)) deadline = std::chrono::steady_clock::now() + wall_of(limits, setup.is_virtual || (tape != nullptr && tape->args() != nullptr));
    if (call.deadline) deadline = std::min(deadline, *call.deadline);
    ComponentReport report;
    std::uint64_t host_calls = 0;
    ComponentGate::Handled handled;
    {
        ComponentGate gate(program, setup, limits, record, body, environment);
        const ComponentSetup component_setup{.host = gate,
                                             .record = &record,
                                             .fuel = static_cast<std::int64_t>(fuel),
                                             .on_limit = limits.on_memory_limit == OnMemoryLimit::trap ? OnLimit::trap : OnLimit::fail,
                                             .memory_limit = limits[Limit::memory],
                                             .table_limit = limits[Limit::table_elements],
                                             .arguments = entered.arguments};
        const auto& head = is_as_sent ? *call.request : entered.request;
        const GuestRequest request{.method = head.method, .authority = head.authority, .target = head.target, .https = head.https, .fields = head.fields};
        struct Control final : CallControl {
            Control(GrantSet& grants, CallRecord& record, std::function<void()> wake) : grants(grants), record(record), wake(std::move(wake)) {}
            void cancel(CancelCause cause) noexcept override { record.request_stop(stop_cause(cause)); }
            bool revoke(Capability capability) noexcept override {
                if (!grants.revoke(capability)) return false;
                record.wake();
                wake();
                return true;
            }
            GrantSet& grants;
            CallRecord& record;
            std::function<void()> wake;
        } control(setup.grants, record, gate.waker());
        const CancelCallback on_cancel(call.cancel, [&] { record.request_stop(stop_cause(call.cancel.cause())); });
        record.arm(deadline);
        const CallAttachment attachment(call.running, control);
        if (setup.instance == nullptr) {
            component.call(component_setup, as_handler ? &request : nullptr, report);
        } else {
            setup.instance->attach(control);
            setup.instance->handle(component_setup, request, report);
            setup.instance->detach();
        }
        record.disarm();
        gate.record_revocations();
        host_calls = gate.host_calls();
        outcome.usage.fuel = report.fuel_used + fuel_of_a_host_call * host_calls;
        handled = std::move(gate.handled());
        network = gate.network_use();
        outcome.error = error_of(report, gate, limits, record, outcome.usage.fuel, gate.has_begun_response(), handled.whole, as_handler, outcome.exit);
    }
    outcome.usage.fuel_exact = report.outcome == CallOutcome::returned;
    outcome.usage.peak_memory = report.peak_memory;
    outcome.usage.host_calls = host_calls;
    if (setup.is_virtual && outcome.error && report.outcome == CallOutcome::stopped && record.cause() == StopCause::timeout && (!call.deadline || deadline < *call.deadline)) {
        outcome.error = Error(Code::host_timeout, format("the call took longer than its safety time-out of {}", limit_text(Limit::wall, static_cast<std::uint64_t>(wall_of(limits, true).count()))));
    }
    if (outcome.error && outcome.error->code() == Code::cpu_limit) outcome.usage.fuel = fuel;
    Bytes result;
    if (as_handler) {
        outcome.usage.bytes_out = handled.bytes_out;
        if (call.body != nullptr) bytes_in = std::max<std::uint64_t>(bytes_in, handled.bytes_in);
    }
    bytes_in += network.in;
    outcome.usage.bytes_out += network.out;
    if (!outcome.error && as_handler) {
        if (tape != nullptr && handled.head) result = encode_response(*handled.head, handled.body.finish());
        if (auto answer = body.take_answer()) {
            for (const auto& [name, value] : answer->head.fields) {
                if (name == "content-type") outcome.output.media_type = value;
            }
            outcome.output.bytes = std::move(answer->body);
            outcome.response = std::move(answer->head);
        }
    }
    if (!as_handler && outcome.exit) result = encode_status(outcome.exit->status);
    if (tape != nullptr) tape->end(outcome, std::move(result));
    return finish();
}

}  // namespace berth
