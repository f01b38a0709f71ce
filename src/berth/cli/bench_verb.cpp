#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/processors.hpp"
#include "berth/base/read_file.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/bench_run.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

constexpr unsigned most_at_once = 1024;
constexpr auto longest = std::chrono::hours(24);
constexpr std::uint64_t largest_input = std::uint64_t{1} << 30;

struct Arguments {
    std::string what, against, duration;
    BenchCall call;
    std::uint64_t calls = 0;
};

struct Machine {
    std::string processor, kernel;
    unsigned processors = usable_processors();
};

Machine this_machine() {
    Machine machine;
    utsname system{};
    if (::uname(&system) == 0) machine.kernel = format("{} {} {}", system.sysname, system.release, system.machine);
    const auto about = read_file("/proc/cpuinfo", 16 << 20);
    const auto text = about ? as_text(*about) : std::string_view();
    // Where processors have no name, the architecture is all that is known.
    machine.processor = "unknown";
    if (const auto at = text.find("model name"); at != std::string_view::npos) {
        const auto line = text.substr(at, text.find('\n', at) - at);
        if (const auto colon = line.find(": "); colon != std::string_view::npos) machine.processor = std::string(line.substr(colon + 2));
    }
    return machine;
}

struct Share {
    double share;
    std::string_view text, key;
};
constexpr std::array<Share, 4> shares{{{0.5, "p50", "p50"}, {0.9, "p90", "p90"}, {0.99, "p99", "p99"}, {0.999, "p99.9", "p99_9"}}};

/// Three digits and a unit.
std::string time_text(std::uint64_t nanoseconds) {
    const auto value = static_cast<double>(nanoseconds);
    if (nanoseconds < 1'000) return format("{}ns", nanoseconds);
    if (nanoseconds < 1'000'000) return format("{:.3g}us", value / 1e3);
    if (nanoseconds < 1'000'000'000) return format("{:.3g}ms", value / 1e6);
    return format("{:.3g}s", value / 1e9);
}

/// Without digits that say nothing.
double rounded(double value, double unit) { return std::round(value * unit) / unit; }

std::string calls_text(std::uint64_t count) { return format("{} call{}", count, count == 1 ? "" : "s"); }

void print_text(Console& console, const BenchTarget& target, const BenchTally& tally) {
    console.line(format("{}: {}, isolation {}, {} in {}", terminal_safe(target.name()), target.kind(), target.isolation(), calls_text(tally.calls()), time_text(static_cast<std::uint64_t>(tally.took.count()))));
    const auto count = tally.latency.count();
    if (count != 0) {
        std::string list;
        for (const auto& each : shares) list += format("{} {}  ", each.text, time_text(tally.latency.percentile(each.share)));
        console.line(format("  latency     {}max {}", list, time_text(tally.latency.max())));
        console.line(format("  throughput  {:.1f} calls a second", tally.throughput()));
        if (target.is_program()) console.line("  fuel        none: a program is not metered");
        else if (tally.least_fuel == tally.most_fuel) console.line(format("  fuel        {} a call{}", tally.least_fuel, tally.fuel_exact ? "" : " (not exact)"));
        else console.line(format("  fuel        {} a call, {} to {}{}", tally.fuel / count, tally.least_fuel, tally.most_fuel, tally.fuel_exact ? "" : " (not exact)"));
        console.line(format("  memory      {} at most", limit_text(Limit::memory, tally.peak_memory)));
    }
    std::string errors;
    for (std::size_t i = 0; i < tally.errors.size(); ++i) {
        if (tally.errors[i] != 0) errors += format("{}{} {}", errors.empty() ? "" : ", ", name(static_cast<Code>(i)), tally.errors[i]);
    }
    console.line(format("  errors      {}", errors.empty() ? "none" : errors));
    std::string limits;
    for (const auto& entry : limit_table) {
        if (target.limits().bounds(entry.limit)) limits += format("{}{} {}", limits.empty() ? "" : ", ", entry.name, limit_text(entry.limit, target.limits()[entry.limit]));
    }
    console.line(format("  limits      {}", limits.empty() ? "none" : limits));
}

std::string ratio_text(const BenchRatio& ratio) { return format("{:.3f} ({:.3f} to {:.3f})", ratio.median, ratio.low, ratio.high); }

void print_text(Console& console, const std::vector<BenchTarget*>& targets, const BenchPlan& plan, const BenchResult& result, const Machine& machine) {
    for (std::size_t i = 0; i < targets.size(); ++i) print_text(console, *targets[i], *result.targets[i]);
    if (result.p50) {
        console.line(format("{} to {}, median of {} pair{} of slices (half of them are within)", terminal_safe(targets[0]->name()), terminal_safe(targets[1]->name()), result.pairs, result.pairs == 1 ? "" : "s"));
        console.line(format("  p50         {}", ratio_text(*result.p50)));
        console.line(format("  p99         {}", ratio_text(*result.p99)));
        console.line(format("  throughput  {}", ratio_text(*result.throughput)));
    }
    console.line(format("{} at once, after {} to warm up; {}, {} processor{}, {}; berth {}", plan.at_once, calls_text(result.warm_up), machine.processor, machine.processors, machine.processors == 1 ? "" : "s", machine.kernel,
                        berth_version()));
}

void write_target(JsonWriter& json, const BenchTarget& target, const BenchTally& tally) {
    json.begin_object().member("target", target.name()).member("kind", target.kind()).member("isolation", target.isolation()).member("calls", tally.calls());
    json.member("seconds", rounded(std::chrono::duration<double>(tally.took).count(), 1e9));
    json.key("errors").begin_object();
    for (std::size_t i = 0; i < tally.errors.size(); ++i) {
        if (tally.errors[i] != 0) json.member(name(static_cast<Code>(i)), tally.errors[i]);
    }
    json.end_object();
    const auto count = tally.latency.count();
    if (count != 0) {
        json.key("latency_ns").begin_object();
        for (const auto& each : shares) json.member(each.key, tally.latency.percentile(each.share));
        json.member("max", tally.latency.max()).end_object();
        if (!target.is_program()) {
            json.key("fuel").begin_object().member("mean", tally.fuel / count).member("least", tally.least_fuel).member("most", tally.most_fuel).member("exact", tally.fuel_exact).end_object();
        }
    }
    json.member("throughput", rounded(tally.throughput(), 1e3)).member("peak_memory", tally.peak_memory).key("limits").begin_object();
    for (const auto& entry : limit_table) {
        if (target.limits().bounds(entry.limit)) json.member(entry.name, limit_text(entry.limit, target.limits()[entry.limit]));
    }
    json.end_object().end_object();
}

void print_json(Console& console, const std::vector<BenchTarget*>& targets, const BenchPlan& plan, const BenchResult& result, const Machine& machine) {
    JsonWriter json;
    json.begin_object().member("$type", "berth.bench").member("version", berth_version()).member("at_once", plan.at_once).member("warm_up", result.warm_up).member("interrupted", result.interrupted);
    json.key("machine").begin_object().member("processor", machine.processor).member("processors", machine.processors).member("kernel", machine.kernel).end_object();
    json.key("targets").begin_array();
    for (std::size_t i = 0; i < targets.size(); ++i) write_target(json, *targets[i], *result.targets[i]);
    json.end_array();
    if (result.p50) {
        const auto ratio = [&](std::string_view name, const BenchRatio& of) {
            json.key(name).begin_object().member("median", rounded(of.median, 1e6)).member("low", rounded(of.low, 1e6)).member("high", rounded(of.high, 1e6)).end_object();
        };
        json.key("ratio").begin_object().member("pairs", result.pairs);
        ratio("p50", *result.p50);
        ratio("p99", *result.p99);
        ratio("throughput", *result.throughput);
        json.end_object();
    }
    console.line(json.end_object().text());
}

Result<void> read_input(BenchCall& call) {
    if (!call.input.starts_with('@')) return {};
    const auto file = call.input.substr(1);
    BERTH_TRY(const auto bytes, read_file(file, largest_input) | note([&] { return format("reading --input {}", call.input); }));
    call.input = std::string(as_text(bytes));
    return {};
}

Result<int> run(Context& context, Arguments arguments) {
    auto& console = context.console;
    BenchPlan plan{.at_once = arguments.call.at_once, .calls = arguments.calls};
    if (plan.calls == 0) {
        const auto duration = parse_duration(arguments.duration.empty() ? "5s" : arguments.duration);
        if (duration) plan.duration = *duration;
        if (!duration || plan.duration <= std::chrono::nanoseconds(0) || plan.duration > longest) return fail(Code::usage, format("-d {}: write a time from 1ns to 24h, as 5s", arguments.duration));
    }
    BERTH_TRYV(read_input(arguments.call));
    context.serves = true;
    context.set_flag("functions.isolation", "--isolation", context.isolation);
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    if (!console.verbose) options.log_level = LogLevel::error;  // what guests log is no part of what is measured
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    CancelSource stop;
    std::atomic<bool> running{false};
    const Interrupt interrupt([&](int signal) {
        if (!running.load()) ::_exit(128 + signal);
        stop.cancel();
    });
    const auto reactors = Reactors::start(1);
    std::vector<std::unique_ptr<BenchTarget>> opened;
    std::vector<BenchTarget*> targets;
    for (const auto& what : {arguments.what, arguments.against}) {
        if (what.empty()) continue;
        BERTH_TRY(auto target, BenchTarget::open(context, *application, *reactors, request, what, arguments.call));
        targets.push_back(opened.emplace_back(std::move(target)).get());
    }
    running = true;
    const auto result = run_bench(targets, plan, stop.token());
    for (auto* target : targets) target->close();
    if (!result) {
        if (Interrupt::seen() != 0 && result.error().code() == Code::cancelled) return 128 + Interrupt::seen();
        return fail(result.error());
    }
    const auto machine = this_machine();
    if (console.format == Format::json) print_json(console, targets, plan, *result, machine);
    else print_text(console, targets, plan, *result, machine);
    if (result->interrupted) console.notice("stopped before its end: this is what was measured until then");
    return result->interrupted ? 128 + Interrupt::seen() : 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("what", arguments->what, "a module or a function's file, or a function")->required()->type_name("FILE|NAME");
    app.add_option("-c", arguments->call.at_once, "calls at once (1)")->between(1, most_at_once)->type_name("N");
    auto* duration = app.add_option("-d", arguments->duration, "how long is measured (5s)")->type_name("T");
    app.add_option("-n", arguments->calls, "how many calls, instead of -d")->positive()->excludes(duration)->type_name("CALLS");
    app.add_option("--against", arguments->against, "measured in turn with it: ratios are printed")->type_name("FILE|NAME");
    app.add_option("--call", arguments->call.entry, "export of a module to call")->type_name("NAME");
    auto* input = app.add_option("--input", arguments->call.input, "what each call is given")->type_name("JSON|@FILE");
    app.add_option("--dir", arguments->call.folder, "folder of functions (functions.path)")->type_name("DIR");
    add_guest_flags(app, context);
    action = [&context, arguments, input] {
        arguments->call.has_input = input->count() != 0;
        arguments->call.arguments = context.guest_arguments;
        return run(context, *arguments);
    };
}

}  // namespace

const Verb bench_verb{"bench", "Measure a module or a function: latency, throughput, fuel, memory", declare, Takes::guest_arguments};

}  // namespace berth::cli
