#include "berth/runtime/wasm_call.hpp"

#include <algorithm>
#include <bit>

#include "berth/async/guest_fiber.hpp"
#include "berth/base/format.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/engine/invocation.hpp"
#include "berth/engine/linked_module.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/pending_call.hpp"
#include "berth/runtime/bare_values.hpp"
#include "berth/runtime/call_tape.hpp"
#include "berth/runtime/component_call.hpp"
#include "berth/runtime/running_call.hpp"
#include "berth/runtime/wasm_instance.hpp"

namespace berth {
namespace {

/// What the engine's report, the gate and the guest's own words together mean; nothing when the call succeeded.
std::optional<Error> error_of(const WasmProgram& program, const Limits& limits, const InvokeReport& report, const Gate& gate, const GuestState& guest, const CallRecord& record,
                              const MemoryAccount& account, std::optional<ExitInfo>& exit) {
    const auto frames = [&] {
        std::vector<std::string> texts;
        for (const auto& frame : report.trap_frames()) texts.push_back(program.frame_text(frame));
        return texts;
    };
    switch (report.outcome) {
        case CallOutcome::returned:
            if (program.is_command()) exit = ExitInfo{};
            return std::nullopt;
        case CallOutcome::host_trapped:
            if (const auto status = guest.exit_status()) {
                // Exit statuses are 8 bits wide where a shell can see them.
                const int shown = static_cast<int>(*status & 0xFF);
                exit = ExitInfo{.status = static_cast<int>(*status)};
                if (*status == 0) return std::nullopt;
                Error error(Code::exit_nonzero, format("the program ended with status {}", *status));
                error.set_exit_status(shown == 0 ? 1 : shown);
                return error;
            }
            if (const auto signal = guest.raised_signal()) {
                exit = ExitInfo{.signal = static_cast<int>(*signal)};
                Error error(Code::signaled, format("the program raised signal {}", *signal));
                error.set_exit_status(128 + static_cast<int>(*signal));
                return error;
            }
            if (gate.failure()) return gate.failure();
            if (!gate.out_of_fuel()) return Error(Code::runtime_bug, "a host function ended the call without saying why");
            [[fallthrough]];
        case CallOutcome::out_of_fuel: return over_limit(Limit::fuel, limits[Limit::fuel]);
        case CallOutcome::stack_overflow: {
            const bool exact = program.exact_depth() && report.trap == TrapCode::none;
            Error error = exact ? over_limit(Limit::stack_depth, limits[Limit::stack_depth]) : Error(Code::stack_overflow, "calls are nested too deeply for the native stack of the guest");
            return error.set_frames(frames());
        }
        case CallOutcome::memory_denied:
        case CallOutcome::table_denied: {
            const auto own = report.outcome == CallOutcome::memory_denied ? Limit::memory : Limit::table_elements;
            const auto limit = account.denied != 0 ? Limit::total_memory : own;
            return over_limit(limit, limits[limit]);
        }
        case CallOutcome::stopped: return stopped_error(record, limits[Limit::wall]);
        case CallOutcome::machine_failed: return Error(Code::runtime_bug, "the machine could not give the guest the memory it may have");
        case CallOutcome::not_started: return Error(report.error == Code::ok ? Code::runtime_bug : report.error, report.message.empty() ? "no instance could be made" : report.message);
        case CallOutcome::trapped: {
            const auto trap = name(report.trap);
            Error error(Code::trap, trap.empty() ? report.message : format("the guest trapped: {}", trap));
            error.set_trap(std::string(trap)).set_frames(frames());
            if (report.frame_count != 0) error.set_where(program.frame_text(report.frames[0]));
            return error;
        }
    }
    return Error(Code::runtime_bug, "the engine reported an unknown outcome");
}

/// Arguments of a command for a journal: their number, then each with its length in front.
Bytes encode_arguments(const std::vector<std::string>& arguments) {
    Bytes out;
    JournalPut put(out);
    put.length(arguments.size());
    for (const auto& argument : arguments) put.text(argument);
    return out;
}

Result<std::vector<std::string>> decode_arguments(ByteView bytes) {
    JournalGet in(bytes);
    std::uint64_t count = 0;
    std::vector<std::string> arguments;
    bool whole = in.length(count) && count <= bytes.size();
    for (std::uint64_t i = 0; whole && i < count; ++i) {
        std::string_view text;
        whole = in.text(text);
        arguments.emplace_back(text);
    }
    if (!whole || !in.at_end()) return fail(Code::journal_invalid, "the recorded arguments are none of a command");
    return arguments;
}

Result<void> decode_values(ByteView bytes, const FunctionType& type, std::vector<RawValue>& values) {
    JournalGet in(bytes);
    values.assign(type.value_count(), RawValue());
    for (std::size_t i = 0; i < type.params.size(); ++i) {
        std::uint64_t wide = 0;
        std::uint32_t narrow = 0;
        const bool is_wide = type.params[i] == ValueType::i64 || type.params[i] == ValueType::f64;
        if (is_wide ? !in.plain(wide) : !in.plain(narrow)) return fail(Code::replay_diverged, "operation 0: the recorded arguments are not those that the export takes");
        values[i] = is_wide ? RawValue::of(wide) : RawValue::of(narrow);
    }
    if (!in.at_end()) return fail(Code::replay_diverged, "operation 0: the recorded arguments are not those that the export takes");
    return {};
}

/// Scalars of an export for a journal: 4 or 8 bytes each.
Bytes encode_values(std::span<const RawValue> values, std::span<const ValueType> types) {
    Bytes out;
    JournalPut put(out);
    for (std::size_t i = 0; i < types.size(); ++i) {
        if (types[i] == ValueType::i64 || types[i] == ValueType::f64) {
            put.plain(values[i].u64);
        } else {
            put.plain(values[i].u32);
        }
    }
    return out;
}

Bytes encode_status(int status) {
    Bytes out;
    JournalPut(out).plain(static_cast<std::uint32_t>(status));
    return out;
}

/// Runs the guest on a stack of the engine's and what may take long on the caller's, which is a fiber: a wait holds neither
/// thread nor processor.
void invoke_on_fiber(const WasmProgram& program, Gate& gate, const InvokeRequest& request, std::span<RawValue> values, InvokeReport& report) {
    const auto linked = program.linked_for_waits();
    if (!linked) {
        report = InvokeReport{};
        report.outcome = CallOutcome::not_started;
        report.error = linked.error().code();
        report.message = linked.error().message();
        return;
    }
    const auto call = PendingCall::start(*linked, request, [] {});
    const auto run = [&] {
        const GuestFiber::Elsewhere elsewhere;
        return call->poll(values, report);
    };
    while (!run()) BERTH_ASSERT(gate.perform_put_off());
}

}  // namespace

std::chrono::nanoseconds wall_of(const Limits& limits, bool is_virtual) noexcept {
    const auto wall = static_cast<std::int64_t>(std::min<std::uint64_t>(limits[Limit::wall], INT64_MAX / 32));
    return std::chrono::nanoseconds(is_virtual ? std::max<std::int64_t>(10'000'000'000, 10 * wall) : wall);
}

std::vector<std::string> granted_environment(const WasmProgram& program, std::span<const std::string> host) {
    std::vector<std::string> shown;
    if (!program.grants().holds(Capability::env_read)) return shown;
    const auto* policy = program.policy();
    if (policy != nullptr) {
        for (const auto& [name, value] : policy->environment) {
            if (program.grants().holds(Capability::env_read, name)) shown.push_back(format("{}={}", name, value));
        }
    }
    for (const auto& variable : host) {
        const auto name = std::string_view(variable).substr(0, variable.find('='));
        const bool is_set = policy != nullptr && policy->environment.contains(std::string(name));
        if (!is_set && program.grants().holds(Capability::env_read, name)) shown.push_back(variable);
    }
    return shown;
}

std::vector<std::string> listening_addresses(const WasmProgram& program, const GrantSet& grants) {
    std::vector<std::string> addresses;
    const auto& imports = program.info().imports;
    if (!grants.holds(Capability::net_listen) || std::none_of(imports.begin(), imports.end(), [](const auto& import) { return import.name == "sock_accept"; })) return addresses;
    std::ranges::copy_if(grants.scope(Capability::net_listen).patterns, std::back_inserter(addresses), [](const auto& pattern) { return SocketAddress::parse(pattern).has_value(); });
    return addresses;
}

StopCause stop_cause(CancelCause cause) noexcept { return cause == CancelCause::shutting_down ? StopCause::shutdown : StopCause::cancelled; }

Error stopped_error(const CallRecord& record, std::uint64_t wall) {
    switch (record.cause()) {
        case StopCause::cancelled: return Error(Code::cancelled, "the call was cancelled");
        case StopCause::shutdown: return Error(Code::shutting_down, "the host is shutting down");
        case StopCause::revoked: return Error(Code::capability_denied, "a grant of the call was revoked");
        case StopCause::timeout:
        case StopCause::none: break;
    }
    return wall == Limits::unlimited ? Error(Code::timeout, "the deadline of the call passed") : over_limit(Limit::wall, wall);
}

void run_wasm(const WasmProgram& program, const Call& call, const WasmCallSetup& setup, CallRecord& record, Outcome& outcome) {
    if (program.component() != nullptr) return run_component(program, call, setup, record, outcome);
    NetworkUse network;
    const auto start = setup.clock.steady();
    const auto finish = [&] {
        const auto end = setup.clock.steady();
        outcome.timing.run = outcome.timing.total = end - start;
        outcome.usage.bytes_in = call.input.bytes.size() + network.in;
    };
    const auto& limits = setup.limits;
    if (call.input.bytes.size() > limits[Limit::input]) {
        outcome.error = over_limit(Limit::input, limits[Limit::input]);
        return finish();
    }
    auto& account = setup.account;
    if (setup.instance == nullptr) {
        account.guest = program.initial_bytes();
        account.total_limit = limits[Limit::total_memory];
        account.host_limit = limits[Limit::host_memory];
    }
    struct HeldInput {  // an instance that stays counts only what it holds
        ~HeldInput() { account.release(bytes); }
        MemoryAccount& account;
        std::uint64_t bytes;
    } const held{account, setup.instance != nullptr ? call.input.bytes.size() : 0};
    if (!account.hold(call.input.bytes.size())) {
        const auto limit = account.exceeded == MemoryAccount::Exceeded::total_memory ? Limit::total_memory : Limit::host_memory;
        outcome.error = over_limit(limit, limits[limit]);
        return finish();
    }

    // What to enter, with which values.
    WasmProgram::Entry entry;
    std::vector<RawValue> values;
    const bool as_command = call.entry.empty() && program.is_command();
    if (as_command) {
        entry = *program.start();
    } else {
        if (call.entry.empty()) {
            std::string list;
            for (const auto& each : program.function_exports()) list += (list.empty() ? "" : ", ") + each;
            outcome.error = Error(Code::not_found, format("the module has no _start; name the export to call: {}", list.empty() ? "it exports no functions" : list));
            outcome.error->set_fix("--call NAME, or entry: NAME in its manifest");
            return finish();
        }
        auto found = program.entry(call.entry);
        if (!found) {
            outcome.error = found.error();
            return finish();
        }
        entry = std::move(*found);
        const auto* given = setup.tape != nullptr ? setup.tape->args() : nullptr;
        const auto read = given != nullptr         ? decode_values(*given, entry.type, values)
                          : call.arguments.empty() ? read_arguments(call.input.bytes, entry.type, values)
                                                   : read_arguments(call.arguments, entry.type, values);
        if (!read) {
            outcome.error = read.error();
            return finish();
        }
    }

    auto* tape = setup.tape;
    std::vector<std::string> arguments{call.function};
    if (as_command) arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
    if (as_command && tape != nullptr && tape->args() != nullptr) {
        auto decoded = decode_arguments(*tape->args());
        if (!decoded) {
            outcome.error = decoded.error();
            return finish();
        }
        arguments = std::move(*decoded);
    }
    if (tape != nullptr) {
        if (const auto begun = tape->begin(as_command ? "_start" : call.entry, as_command ? encode_arguments(arguments) : encode_values(values, entry.type.params), limits); !begun) {
            outcome.error = begun.error();
            return finish();
        }
        // What was taken from an instance between its calls stands before what this one does without it.
        for (auto rest = setup.instance != nullptr ? setup.grants.revoked() : 0; rest != 0; rest &= rest - 1) tape->host_calls().revoked(static_cast<Capability>(std::countr_zero(rest)));
        for (auto rest = tape->revoked(); rest != 0; rest &= rest - 1) static_cast<void>(setup.grants.revoke(static_cast<Capability>(std::countr_zero(rest))));
    }
    const auto environment = granted_environment(program, setup.environment);
    const auto listeners = listening_addresses(program, setup.grants);
    static const std::vector<Mount> no_mounts;
    Result<std::unique_ptr<GuestState>> started;
    if (setup.instance == nullptr) started = program.world().start({.arguments = arguments,
                                        .environment = environment,
                                        .mounts = program.policy() != nullptr ? program.policy()->mounts : no_mounts,
                                        .limits = limits,
                                        .clock = setup.guest_clock,
                                        .files = setup.files,
                                        .random = setup.random,
                                        .input = setup.input,
                                        .output = tape != nullptr ? tape->output(setup.output) : setup.output,
                                        .error = tape != nullptr ? tape->error(setup.error) : setup.error,
                                        .account = account,
                                        .network = &setup.network,
                                        .listeners = listeners,
                                        .news = setup.news});
    if (!started) {
        outcome.error = started.error();
        return finish();
    }
    if (setup.instance != nullptr) setup.instance->lead_outputs(tape != nullptr ? tape->output(setup.output) : setup.output, tape != nullptr ? tape->error(setup.error) : setup.error);
    auto& guest = setup.instance != nullptr ? setup.instance->guest() : **started;
    const auto before = guest.network_use();
    Gate gate({.table = &program.world().table(),
               .grants = &setup.grants,
               .world_state = guest.world_state(),
               .max_host_calls = limits[Limit::host_calls],
               .max_argument = std::min<std::uint64_t>(limits[Limit::host_arg], UINT32_MAX),
               .metrics = setup.metrics,
               .denials = setup.denials,
               .journal = tape != nullptr ? &tape->host_calls() : nullptr,
               .revocations = call.running != nullptr ? &guest : nullptr,
               .clock = setup.is_virtual ? &setup.guest_clock : nullptr});

    auto deadline = CallRecord::Clock::time_point::max();
    if (limits.bounds(Limit::wall)) deadline = std::chrono::steady_clock::now() + wall_of(limits, setup.is_virtual || (tape != nullptr && tape->args() != nullptr));
    if (call.deadline) deadline = std::min(deadline, *call.deadline);
    auto fuel = std::min<std::uint64_t>(limits[Limit::fuel], static_cast<std::uint64_t>(unlimited_fuel));
    if (tape != nullptr) fuel = std::min(fuel, tape->fuel_bound());
    InvokeRequest request;
    request.export_index = entry.index;
    if (!as_command && program.initialize()) request.initialize = *program.initialize();
    request.values = values;
    request.setup.state = &gate;
    request.setup.record = &record;
    request.setup.fuel = static_cast<std::int64_t>(fuel);
    if (program.exact_depth()) request.setup.depth = static_cast<std::int32_t>(std::min<std::uint64_t>(limits[Limit::stack_depth], INT32_MAX));
    request.setup.on_limit = limits.on_memory_limit == OnMemoryLimit::trap ? OnLimit::trap : OnLimit::fail;
    request.setup.memory_limit = limits[Limit::memory];
    request.setup.table_limit = limits[Limit::table_elements];
    request.setup.account = &account;

    InvokeReport report;
    {
        struct Control final : CallControl {
            Control(Gate& gate, CallRecord& record) : gate(gate), record(record) {}
            void cancel(CancelCause cause) noexcept override { record.request_stop(stop_cause(cause)); }
            bool revoke(Capability capability) noexcept override {
                if (!gate.revoke(capability)) return false;
                record.wake();
                return true;
            }
            Gate& gate;
            CallRecord& record;
        } control(gate, record);
        const CancelCallback on_cancel(call.cancel, [&] { record.request_stop(stop_cause(call.cancel.cause())); });
        record.arm(deadline);
        const CallAttachment attachment(call.running, control);
        if (setup.instance == nullptr) {
            if (GuestFiber::current() != nullptr) {
                invoke_on_fiber(program, gate, request, values, report);
            } else {
                invoke(program.linked(), request, report);
            }
        } else {
            setup.instance->attach(control);
            setup.instance->invoke(request, report);
            setup.instance->detach();
        }
        record.disarm();
    }
    outcome.usage.fuel = report.fuel_used;
    outcome.usage.fuel_exact = report.fuel_exact;
    outcome.usage.peak_memory = report.peak_memory;
    outcome.usage.host_calls = gate.host_calls();
    network.in = guest.network_use().in - before.in;
    outcome.usage.bytes_out = guest.network_use().out - before.out;
    outcome.error = error_of(program, limits, report, gate, guest, record, account, outcome.exit);
    if (outcome.error && outcome.error->code() == Code::replay_diverged) {
        std::vector<std::string> frames;
        for (const auto& frame : report.trap_frames()) frames.push_back(program.frame_text(frame));
        if (!frames.empty()) outcome.error->set_where(frames.front());
        outcome.error->set_frames(std::move(frames));
    }
    if (setup.is_virtual && outcome.error && report.outcome == CallOutcome::stopped && record.cause() == StopCause::timeout && (!call.deadline || deadline < *call.deadline)) {
        outcome.error = Error(Code::host_timeout, format("the call took longer than its safety time-out of {}", limit_text(Limit::wall, static_cast<std::uint64_t>(wall_of(limits, true).count()))));
    }
    if (outcome.error && outcome.error->code() == Code::cpu_limit) outcome.usage.fuel = fuel;
    if (!outcome.error && !as_command) outcome.output = {write_results(values, entry.type), "application/json"};
    if (tape != nullptr) {
        Bytes result;
        if (as_command && outcome.exit) result = encode_status(outcome.exit->status);
        if (!as_command && !outcome.error) result = encode_values(values, entry.type.results);
        tape->end(outcome, std::move(result));
    }
    return finish();
}

}  // namespace berth
