// What the engine binding costs, beside a Rust program on the same engine (`--peer`), in interleaved rounds.
//
//   engine_bench --peer PATH [--rounds N]     costs of instances and calls, latency of stops
//   engine_bench --stops N                    N stops of running guests, every one checked
//   engine_bench --markers N                  N fresh calls after a guest that leaves markers everywhere
//   engine_bench --windows                    when guests under a wall limit end while others wait
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "bench/rows.hpp"
#include "berth/base/format.hpp"
#include "berth/engine/instance.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/engine/testing/stop_stress.hpp"
#include "berth/host/fn.hpp"
#include "berth/host/gate.hpp"

namespace berth {
namespace {

using Clock = std::chrono::steady_clock;
using bench::median;
using bench::paired;
using bench::row;

double since(double begin, int count) { return (bench::cpu_now() - begin) / count; }

template <class T>
T expect(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "engine_bench: %s\n", result.error().full_message().c_str());
        std::exit(1);
    }
    return std::move(result).value();
}

/// The Rust program: one command a line, one number back.
class Peer {
public:
    explicit Peer(const std::string& path) {
        int to[2];
        int from[2];
        if (::pipe(to) != 0 || ::pipe(from) != 0) std::exit(1);
        child_ = ::fork();
        if (child_ == 0) {
            ::dup2(to[0], 0);
            ::dup2(from[1], 1);
            for (const int end : {to[0], to[1], from[0], from[1]}) ::close(end);
            ::execl(path.c_str(), path.c_str(), nullptr);
            std::perror(path.c_str());
            ::_exit(127);
        }
        ::close(to[0]);
        ::close(from[1]);
        out_ = ::fdopen(to[1], "w");
        in_ = ::fdopen(from[0], "r");
    }
    ~Peer() {
        std::fclose(out_);
        std::fclose(in_);
        ::waitpid(child_, nullptr, 0);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    double ask(const std::string& command) {
        std::fprintf(out_, "%s\n", command.c_str());
        std::fflush(out_);
        double answer = 0;
        if (std::fscanf(in_, "%lf", &answer) != 1) {
            std::fprintf(stderr, "engine_bench: the peer did not answer \"%s\"\n", command.c_str());
            std::exit(1);
        }
        return answer;
    }

private:
    pid_t child_;
    std::FILE* out_ = nullptr;
    std::FILE* in_ = nullptr;
};

HostStatus host(HostContext& context, std::uint32_t, RawValue* values) noexcept {
    ++context.state_as<std::uint64_t>();
    values[0] = RawValue::of(values[0].i32 + 1);
    return HostStatus::proceed;
}

// The same function behind the gate: a grant is checked, the budget charged, the call counted.
std::int32_t gated(WorldCall<std::uint64_t>& call, std::int32_t value) {
    ++call.state();
    return value + 1;
}
constexpr std::array gated_functions{fn<"f", gated>({.doc = "One more.", .params = {"value"}, .needs = Capability::time_now, .effect = Effect::reads})};
constexpr std::array gated_groups{HostGroup{"h", gated_functions}};
constexpr HostWorld gated_world{"bench", gated_groups, Missing::deny_at_call, [](const Error&) noexcept { return -1; }, [](ArgumentFault) noexcept { return -1; }};

struct Guest {
    Guest(const std::string& wat, bool metered, EngineOptions options, HostEntry entry = host) {
        auto wasm = expect(wat_to_wasm(wat));
        RestoreFacts facts;
        if (metered) {
            auto output = expect(instrument(wasm, expect(ModuleInfo::read(wasm, {})), {}));
            wasm = std::move(output.wasm);
            facts = output.restore;
        }
        const HostImport import{"h", "f", {{ValueType::i32}, {ValueType::i32}}, 0};
        linked = expect(LinkedModule::link(expect(Module::compile(expect(WasmEngine::create(options)), wasm, facts)), {&import, 1}, entry));
    }
    std::uint32_t index(std::string_view name) const { return linked->module().find_export(name)->index; }

    /// Fresh instances, each called once under a budget and a deadline; nanoseconds each.
    double instantiate(std::int32_t pages, int count) {
        InvokeRequest request;
        RawValue value;
        request.export_index = index("touch");
        request.values = {&value, 1};
        request.setup.state = &state;
        request.setup.fuel = 1'000'000'000;
        InvokeReport report;
        const auto begin = bench::cpu_now();
        for (int i = 0; i < count; ++i) {
            CallRecord record;
            record.arm(Clock::now() + std::chrono::seconds(30));
            request.setup.record = &record;
            value = RawValue::of(pages);
            invoke(*linked, request, report);
            record.disarm();
            if (report.outcome != CallOutcome::returned || value.i32 != pages) std::abort();
        }
        return since(begin, count);
    }

    std::shared_ptr<LinkedModule> linked;
    std::uint64_t state = 0;
};

struct Calls {
    explicit Calls(Guest& guest) : guest_(guest) {
        InvokeReport report;
        instance_ = Instance::create(guest.linked, {.state = &guest.state}, report);
        if (!instance_) std::abort();
    }

    double call(int count) {
        const auto empty = guest_.index("empty");
        InvokeReport report;
        RawValue value;
        instance_->set_up({.state = &guest_.state});
        const auto begin = bench::cpu_now();
        for (int i = 0; i < count; ++i) {
            value = RawValue::of(i);
            if (instance_->call(empty, {&value, 1}, report) != CallOutcome::returned) std::abort();
        }
        return since(begin, count);
    }

    /// A budget and a deadline for each call; `with_clock`: the deadline is reckoned from the clock each time.
    double call_limited(int count, bool with_clock) {
        const auto empty = guest_.index("empty");
        InvokeReport report;
        RawValue value;
        CallRecord record;
        auto deadline = Clock::now() + std::chrono::seconds(30);
        const auto begin = bench::cpu_now();
        for (int i = 0; i < count; ++i) {
            value = RawValue::of(i);
            if (with_clock) deadline = Clock::now() + std::chrono::seconds(30);
            record.arm(deadline);
            instance_->set_up({.state = &guest_.state, .record = &record, .fuel = 1'000'000});
            if (instance_->call(empty, {&value, 1}, report) != CallOutcome::returned) std::abort();
            record.disarm();
        }
        return since(begin, count);
    }

    double gated_calls(int count) {
        static const HostTable table(gated_world);
        static constexpr std::array granted{Capability::time_now};
        const auto grants = GrantSet::of(granted);
        MetricRegistry registry;
        HostMetrics metrics(registry, table);
        Gate gate({.table = &table, .grants = grants.get(), .world_state = &guest_.state, .metrics = &metrics});
        InvokeReport report;
        RawValue value = RawValue::of(count);
        CallRecord record;
        record.arm();
        instance_->set_up({.state = &gate, .record = &record});
        const auto begin = bench::cpu_now();
        if (instance_->call(guest_.index("calls"), {&value, 1}, report) != CallOutcome::returned) std::abort();
        return since(begin, count);
    }

    double host_calls(int count, bool with_record) {
        InvokeReport report;
        RawValue value = RawValue::of(count);
        CallRecord record;
        record.arm();
        instance_->set_up({.state = &guest_.state, .record = with_record ? &record : nullptr});
        const auto begin = bench::cpu_now();
        if (instance_->call(guest_.index("calls"), {&value, 1}, report) != CallOutcome::returned) std::abort();
        return since(begin, count);
    }

private:
    Guest& guest_;
    std::unique_ptr<Instance> instance_;
};

/// From the deadline to the caller's answer, in microseconds.
std::vector<double> stop_latencies(Guest& guest, std::string_view loop, int count) {
    std::vector<double> latencies;
    RawValue value;
    InvokeRequest request;
    request.export_index = guest.index(loop);
    request.values = {&value, 1};
    request.setup.state = &guest.state;
    InvokeReport report;
    for (int i = 0; i < count; ++i) {
        CallRecord record;
        const auto deadline = Clock::now() + std::chrono::microseconds(500 + i % 1000);
        record.arm(deadline);
        request.setup.record = &record;
        invoke(*guest.linked, request, report);
        const auto late = Clock::now() - deadline;
        record.disarm();
        if (report.outcome != CallOutcome::stopped || late < Clock::duration::zero()) std::abort();
        latencies.push_back(std::chrono::duration<double, std::micro>(late).count());
    }
    std::ranges::sort(latencies);
    return latencies;
}

void compare_instances(const std::string& wat, Peer& peer, int rounds) {
    Guest fresh(wat, true, {.restore = false});
    Guest restored(wat, true, {});
    const bool restores = restored.linked->module().engine()->status().restore;
    std::printf("create, call once, drop; metered, under a budget and a deadline; us (ratios to the peer's default and tuned pooling)\n");
    std::printf("%6s %10s %10s %10s %10s %10s %18s %18s\n", "pages", "demand", "default", "tuned", "fresh", "restored", "fresh/default", "restored/def,tuned");
    for (const int pages : {0, 1, 4, 16, 64}) {
        std::map<std::string, std::vector<double>> costs;
        const int count = pages > 16 ? 1000 : 3000;
        for (int round = 0; round < rounds; ++round) {
            for (const auto* pool : {"demand", "default", "tuned"}) {
                costs[pool].push_back(peer.ask(format("instantiate {} {} {}", pool, pages, pool[1] == 'e' && pool[2] == 'm' ? 500 : count)));
            }
            costs["fresh"].push_back(fresh.instantiate(pages, count));
            costs["restored"].push_back(restored.instantiate(pages, count * 5));
        }
        const auto of = [&](const char* name) { return median(costs[name]) / 1000; };
        std::printf("%6d %10.2f %10.2f %10.2f %10.2f %10.3f %18.3f %11.4f,%.3f\n", pages, of("demand"), of("default"), of("tuned"), of("fresh"),
                    of("restored"), of("fresh") / of("default"), of("restored") / of("default"), of("restored") / of("tuned"));
        if (pages == 16) {
            row("instance-fresh-16", paired(costs["fresh"], costs["default"]));
            row("instance-restored-16", paired(costs["restored"], costs["default"]));
            row("instance-restored-16-tuned", paired(costs["restored"], costs["tuned"]));
        }
        if (pages == 1) row("instance-restored-1-us", of("restored"));
    }
    const auto counters = restored.linked->counters();
    std::printf("restoring %s: %llu restored, %llu made, %llu dropped\n", restores ? "on" : "OFF", static_cast<unsigned long long>(counters.restored),
                static_cast<unsigned long long>(counters.created), static_cast<unsigned long long>(counters.dropped));
}

void compare_calls(const std::string& wat, Peer& peer, int rounds) {
    Guest plain(wat, false, {});
    Calls plain_calls(plain);
    Guest metered(wat, true, {.restore = false});
    Calls metered_calls(metered);
    Guest behind_gate(wat, false, {}, &Gate::enter);
    Calls gate_calls(behind_gate);
    std::map<std::string, std::vector<double>> calls;
    constexpr int many = 1'000'000;
    for (int round = 0; round < rounds; ++round) {
        calls["peer call"].push_back(peer.ask(format("call tuned {}", many)));
        calls["call"].push_back(plain_calls.call(many));
        calls["metered"].push_back(metered_calls.call(many));
        calls["limited"].push_back(metered_calls.call_limited(many, false));
        calls["limited clock"].push_back(metered_calls.call_limited(many, true));
        calls["peer host"].push_back(peer.ask(format("host tuned {}", many)));
        calls["host"].push_back(plain_calls.host_calls(many, false));
        calls["host record"].push_back(plain_calls.host_calls(many, true));
        calls["gate"].push_back(gate_calls.gated_calls(many));
    }
    const auto of = [&](const char* name) { return median(calls[name]); };
    std::printf("\ncalls, ns\n");
    std::printf("host to guest, typed Rust          %8.1f\n", of("peer call"));
    std::printf("host to guest, unmetered           %8.1f  ratio %.2f\n", of("call"), of("call") / of("peer call"));
    std::printf("host to guest, metered             %8.1f\n", of("metered"));
    std::printf("  with a budget and a deadline     %8.1f  more by %.1f\n", of("limited"), of("limited") - of("call"));
    std::printf("  and the clock read for it        %8.1f\n", of("limited clock"));
    std::printf("guest to host, typed Rust          %8.1f\n", of("peer host"));
    std::printf("guest to host                      %8.1f  more by %.1f\n", of("host"), of("host") - of("peer host"));
    std::printf("guest to host under a record       %8.1f  more by %.1f\n", of("host record"), of("host record") - of("peer host"));

    std::printf("guest to host through the gate     %8.1f  more by %.1f\n", of("gate"), of("gate") - of("host record"));
    row("call-gate-ns", bench::paired_difference(calls["gate"], calls["host record"]));
    row("call-host-to-guest", paired(calls["call"], calls["peer call"]));
    row("call-limited-ns", bench::paired_difference(calls["limited"], calls["call"]));
    row("call-guest-to-host-ns", bench::paired_difference(calls["host record"], calls["peer host"]));
}

void time_stops(const std::string& wat, int rounds) {
    Guest fresh(wat, true, {.restore = false});
    std::printf("\nstops, from the deadline to the answer, us\n");
    for (const auto* loop : {"tight", "host_loop", "bulk_loop"}) {
        const auto late = stop_latencies(fresh, loop, 300 * rounds);
        std::printf("%-10s p50 %8.1f  p99 %8.1f  max %8.1f  (%zu)\n", loop, late[late.size() / 2], late[late.size() * 99 / 100], late.back(), late.size());
        row(format("stop-{}-p99-ms", loop).c_str(), late[late.size() * 99 / 100] / 1000);
    }
}

int stops(std::uint64_t count) {
    const auto begin = Clock::now();
    const auto result = testing::stress_stops(count, static_cast<std::uint64_t>(begin.time_since_epoch().count()));
    std::printf("calls %llu  stopped %llu  by redirection %llu  natural traps %llu  returned %llu  failures %zu  in %.1f s\n",
                static_cast<unsigned long long>(result.calls), static_cast<unsigned long long>(result.stopped),
                static_cast<unsigned long long>(result.redirected), static_cast<unsigned long long>(result.natural),
                static_cast<unsigned long long>(result.returned), result.failures.size(), std::chrono::duration<double>(Clock::now() - begin).count());
    row("stops-failures", static_cast<double>(result.failures.size()));
    row("stops-count", static_cast<double>(result.stopped));
    for (const auto& failure : result.failures) std::printf("FAILURE %s\n", failure.c_str());
    return result.failures.empty() ? 0 : 1;
}

// A marker in memory, globals and on the stack; whoever finds it in a later call has read what is not his.
constexpr std::string_view marking = R"((module (memory (export "memory") 4) (global $g (mut i64) (i64.const 0)) (global $h (mut f64) (f64.const 0))
  (func $stack (param $n i32) (param $m i64) (result i64)
    (if (result i64) (local.get $n) (then (i64.add (local.get $m) (call $stack (i32.sub (local.get $n) (i32.const 1)) (local.get $m))))
      (else (i64.const 0))))
  (func (export "mark") (param $pages i32) (local $i i32)
    (loop $next
      (i64.store (i32.add (i32.mul (local.get $i) (i32.const 4096)) (i32.const 2048)) (i64.const 0x6d61726b6d61726b))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $pages))))
    (global.set $g (i64.const 0x6d61726b6d61726b)) (global.set $h (f64.const 7)) (drop (call $stack (i32.const 50) (i64.const 0x6d61726b6d61726b))))
  (func (export "look") (param $unused i32) (result i64) (local $i i32) (local $found i64) (local $a i64) (local $b f64)
    (loop $next (local.set $found (i64.or (local.get $found) (i64.load (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 8))) (br_if $next (i32.lt_u (local.get $i) (i32.const 262144))))
    (i64.or (i64.or (local.get $found) (global.get $g))
            (i64.or (i64.reinterpret_f64 (global.get $h)) (i64.or (local.get $a) (i64.reinterpret_f64 (local.get $b))))))))";

int markers(std::uint64_t count) {
    int found = 0;
    for (const bool restore : {true, false}) {
        Guest guest(std::string(marking), true, {.restore = restore});
        RawValue value;
        InvokeRequest request;
        request.values = {&value, 1};
        request.setup.state = &guest.state;
        InvokeReport report;
        for (std::uint64_t i = 0; i < count; ++i) {
            value = RawValue::of(static_cast<std::int32_t>(i % 64 + 1));
            const bool look = i % 2 != 0;
            request.export_index = guest.index(look ? "look" : "mark");
            invoke(*guest.linked, request, report);
            if (report.outcome != CallOutcome::returned) std::abort();
            if (look && value.i64 != 0) ++found;
        }
        std::printf("restore %s: %llu calls, markers found %d, restored %llu\n", restore ? "on" : "off", static_cast<unsigned long long>(count), found,
                    static_cast<unsigned long long>(guest.linked->counters().restored));
    }
    row("markers-found", found);
    row("markers-calls", static_cast<double>(count));
    return found == 0 ? 0 : 1;
}

/// Guests of every kind under a wall limit of 300 ms while 31 others wait in host calls: how long each took, in ms.
int windows() {
    constexpr auto wall = std::chrono::milliseconds(300);
    constexpr std::string_view text = R"((module (import "h" "wait" (func $wait)) (memory 2)
      (func (export "spin") (loop $again (br $again)))
      (func (export "bulk") (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $again)))
      (func (export "blocked") (call $wait)))";
    auto output = expect(wat_to_wasm(std::string(text) + ")"));
    output = expect(instrument(output, expect(ModuleInfo::read(output, {})), {})).wasm;
    const HostImport import{"h", "wait", {}, 0};
    const HostEntry wait = [](HostContext& context, std::uint32_t, RawValue*) noexcept {
        context.record()->wait_for(std::chrono::seconds(60));
        return HostStatus::proceed;
    };
    const auto linked = expect(LinkedModule::link(expect(Module::compile(expect(WasmEngine::create({})), output)), {&import, 1}, wait));
    const auto run_one = [&](std::string_view kind, std::chrono::nanoseconds limit) {
        CallRecord record;
        InvokeRequest request;
        request.export_index = linked->module().find_export(kind)->index;
        request.setup.record = &record;
        InvokeReport report;
        const auto begin = Clock::now();
        record.arm(begin + limit);
        invoke(*linked, request, report);
        const double took = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
        record.disarm();
        if (report.outcome != CallOutcome::stopped || record.cause() != StopCause::timeout) std::abort();
        return took;
    };
    double earliest = 1e9;
    double latest = 0;
    for (const std::string_view kind : {"spin", "bulk", "blocked"}) {
        std::vector<std::jthread> others;
        for (int i = 0; i < 31; ++i) others.emplace_back([&] { run_one("blocked", wall + std::chrono::milliseconds(200)); });
        const double took = run_one(kind, wall);
        std::printf("%-8s %.2f ms\n", std::string(kind).c_str(), took);
        earliest = std::min(earliest, took);
        latest = std::max(latest, took);
    }
    row("window-earliest-ms", earliest);
    row("window-latest-ms", latest);
    return 0;
}

int run(int argc, char** argv) {
    std::string peer;
    int rounds = 7;
    bool only_calls = false;
    if (argc == 2 && std::strcmp(argv[1], "--windows") == 0) return windows();
    if (argc > 1 && std::strcmp(argv[1], "--calls") == 0) {
        only_calls = true;
        --argc;
        ++argv;
    }
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--peer") == 0) peer = argv[i + 1];
        if (std::strcmp(argv[i], "--rounds") == 0) rounds = std::max(1, std::atoi(argv[i + 1]));
        if (std::strcmp(argv[i], "--stops") == 0) return stops(std::strtoull(argv[i + 1], nullptr, 10));
        if (std::strcmp(argv[i], "--markers") == 0) return markers(std::strtoull(argv[i + 1], nullptr, 10));
    }
    if (peer.empty()) {
        std::fprintf(stderr, "usage: engine_bench [--calls] --peer PATH [--rounds N] | --stops N | --markers N | --windows\n");
        return 2;
    }
    std::ifstream file(BERTH_ENGINE_GUEST);
    const std::string wat{std::istreambuf_iterator<char>(file), {}};
    Peer other(peer);
    if (!only_calls) compare_instances(wat, other, rounds);
    compare_calls(wat, other, rounds);
    if (!only_calls) time_stops(wat, rounds);
    return 0;
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) { return berth::run(argc, argv); }
