#include "berth/runtime/component_call.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/engine/component.hpp"
#include "berth/runtime/running_call.hpp"

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
    Asked{"wasi:sockets/udp@", Capability::net_datagram, false},
};

std::optional<Capability> capability_of(ComponentNeed need) noexcept {
    switch (need) {
        case ComponentNeed::nothing: break;
        case ComponentNeed::clock: return Capability::time_now;
        case ComponentNeed::sleep: return Capability::time_sleep;
        case ComponentNeed::secure_random: return Capability::random_secure;
        case ComponentNeed::random: return Capability::random_number;
        case ComponentNeed::fetch: return Capability::net_fetch;
        case ComponentNeed::send: return Capability::net_send;
        case ComponentNeed::connect: return Capability::net_connect;
        case ComponentNeed::datagram: return Capability::net_datagram;
    }
    return std::nullopt;
}

constexpr std::uint64_t fuel_of_a_host_call = 100;

/// `https://example.org:8443/path` without its path: the origin that a grant names.
std::string_view origin_of(std::string_view address) noexcept {
    const auto scheme = address.find("://");
    if (scheme == std::string_view::npos) return address;
    return address.substr(0, address.find('/', scheme + 3));
}

/// The providers of one call as a component sees them, behind its grants and quotas.
class Host final : public ComponentHost {
public:
    Host(const WasmCallSetup& setup, const Limits& limits, CallRecord& record) : setup_(setup), limits_(limits), record_(record) {}

    Entry enter(ComponentNeed need, std::string_view function, std::string_view scope) override {
        if (++host_calls_ > limits_[Limit::host_calls]) {
            failure_ = over_limit(Limit::host_calls, limits_[Limit::host_calls]);
            return Entry::ends;
        }
        const auto capability = capability_of(need);
        const auto value = origin_of(scope);
        const auto& grants = setup_.grants;
        if (!capability || (value.empty() ? grants.holds(*capability) : grants.holds(*capability, value))) return Entry::granted;
        const auto denial = grants.denial(*capability, value);
        if (setup_.denials != nullptr) setup_.denials->denied("component", function, denial);
        failure_ = denial.to_error();
        failure_->set_where(std::string(function));
        return Entry::denied;
    }

    std::int64_t wall_clock() override { return setup_.guest_clock.read_wall().time_since_epoch().count(); }
    std::uint64_t monotonic_clock() override { return static_cast<std::uint64_t>(setup_.guest_clock.read_steady().time_since_epoch().count()); }
    void random(MutableBytes out) override { setup_.random.fill(out); }
    std::int64_t read(MutableBytes out) override { return setup_.input.read(out); }
    Written write(bool to_error, ByteView bytes) override {
        switch ((to_error ? setup_.error : setup_.output).write(bytes)) {
            case OutputStream::Written::all: return Written::all;
            case OutputStream::Written::failed: return Written::failed;
            default: break;
        }
        failure_ = over_limit(Limit::output, limits_[Limit::output]);
        return Written::over_limit;
    }
    void wait(std::chrono::nanoseconds duration) override {
        const auto due = setup_.guest_clock.steady() + std::chrono::duration_cast<SteadyTime::duration>(duration);
        while (setup_.guest_clock.steady() < due && !record_.stopped()) {
            if (setup_.grants.was_revoked(Capability::time_sleep)) {
                // A wait has no error that it could answer with.
                record_.request_stop(StopCause::revoked);
                return;
            }
            setup_.guest_clock.wait_until(due, &record_);
        }
    }

    const std::optional<Error>& failure() const noexcept { return failure_; }
    std::uint64_t host_calls() const noexcept { return host_calls_; }

private:
    const WasmCallSetup& setup_;
    const Limits& limits_;
    CallRecord& record_;
    std::uint64_t host_calls_ = 0;
    std::optional<Error> failure_;  // the latest denial, or what ended the call
};

std::optional<Error> error_of(const ComponentReport& report, const Host& host, const Limits& limits, const CallRecord& record, std::uint64_t fuel, bool as_handler, std::optional<ExitInfo>& exit) {
    if (report.output_too_large) return over_limit(Limit::output, limits[Limit::output]);
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
            if (!as_handler || report.response) return std::nullopt;
            return Error(Code::bad_output, report.message.empty() ? "the handler ended without a response" : format("the handler answered with the error {}", report.message));
        }
        case CallOutcome::host_trapped: return host.failure() ? *host.failure() : Error(Code::runtime_bug, "a host function ended the call without saying why");
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

Outcome run_component(const WasmProgram& program, const Call& call, const WasmCallSetup& setup, CallRecord& record) {
    Outcome outcome;
    const auto start = setup.clock.steady();
    const auto finish = [&]() -> Outcome {
        outcome.timing.run = outcome.timing.total = setup.clock.steady() - start;
        outcome.usage.bytes_in = call.input.bytes.size();
        return std::move(outcome);
    };
    Limits limits = program.limits();
    limits.tighten(call.tighten);
    if (call.input.bytes.size() > limits[Limit::input]) {
        outcome.error = over_limit(Limit::input, limits[Limit::input]);
        return finish();
    }
    const auto& component = *program.component();
    if (setup.tape != nullptr) {
        outcome.error = Error(Code::not_implemented, "this build neither records nor replays calls of components");
        return finish();
    }
    if (!call.entry.empty()) {
        outcome.error = Error(Code::not_implemented, "this build calls wasi:http/incoming-handler and wasi:cli/run of components, no other export");
        return finish();
    }
    const bool as_handler = component.handles_http();

    std::vector<std::string> arguments{call.function};
    arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
    const auto environment = granted_environment(program, setup.environment);
    Host host(setup, limits, record);
    const auto fuel = std::min<std::uint64_t>(limits[Limit::fuel], static_cast<std::uint64_t>(unlimited_fuel));
    const ComponentSetup component_setup{.host = host,
                                         .record = &record,
                                         .fuel = static_cast<std::int64_t>(fuel),
                                         .on_limit = limits.on_memory_limit == OnMemoryLimit::trap ? OnLimit::trap : OnLimit::fail,
                                         .memory_limit = limits[Limit::memory],
                                         .table_limit = limits[Limit::table_elements],
                                         .output_limit = limits[Limit::output],
                                         .arguments = arguments,
                                         .environment = environment};
    GuestRequest request{.method = "POST", .authority = "localhost", .target = "/", .body = call.input.bytes};
    std::vector<std::pair<std::string, std::string>> fields;
    if (call.request) {
        request.method = call.request->method;
        request.authority = call.request->authority;
        request.target = call.request->target;
        request.https = call.request->https;
        request.fields = call.request->fields;
    } else {
        fields.emplace_back("content-type", call.input.media_type.empty() ? "application/json" : call.input.media_type);
        fields.emplace_back("content-length", std::to_string(call.input.bytes.size()));
        request.fields = fields;
    }

    auto deadline = CallRecord::Clock::time_point::max();
    if (limits.bounds(Limit::wall)) deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(limits[Limit::wall]);
    if (call.deadline) deadline = std::min(deadline, *call.deadline);
    ComponentReport report;
    {
        struct Control final : CallControl {
            Control(GrantSet& grants, CallRecord& record) : grants(grants), record(record) {}
            void cancel(CancelCause cause) noexcept override { record.request_stop(stop_cause(cause)); }
            bool revoke(Capability capability) noexcept override {
                if (!grants.revoke(capability)) return false;
                record.wake();
                return true;
            }
            GrantSet& grants;
            CallRecord& record;
        } control(setup.grants, record);
        const CancelCallback on_cancel(call.cancel, [&] { record.request_stop(stop_cause(call.cancel.cause())); });
        record.arm(deadline);
        const CallAttachment attachment(call.running, control);
        component.call(component_setup, as_handler ? &request : nullptr, report);
        record.disarm();
    }
    outcome.usage.fuel = report.fuel_used + fuel_of_a_host_call * host.host_calls();
    outcome.usage.fuel_exact = report.outcome == CallOutcome::returned;
    outcome.usage.peak_memory = report.peak_memory;
    outcome.usage.host_calls = host.host_calls();
    outcome.error = error_of(report, host, limits, record, outcome.usage.fuel, as_handler, outcome.exit);
    if (outcome.error && outcome.error->code() == Code::cpu_limit) outcome.usage.fuel = fuel;
    if (!outcome.error && report.response) {
        auto& response = *report.response;
        for (const auto& [name, value] : response.fields) {
            if (name == "content-type") outcome.output.media_type = value;
        }
        outcome.output.bytes = std::move(response.body);
        outcome.response = CallResponse{response.status, std::move(response.fields)};
    }
    return finish();
}

}  // namespace berth
