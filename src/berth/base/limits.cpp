#include "berth/base/limits.hpp"

#include "berth/base/format.hpp"
#include "berth/base/units.hpp"

namespace berth {

using enum LimitUnit;

constexpr std::array<LimitRow, limit_count> limit_table{{
    {Limit::memory, "memory", bytes, "linear memory of the instance; private memory of a process tree"},
    {Limit::table_elements, "table_elements", count, "elements of each table"},
    {Limit::tables, "tables", count, "tables of a module, imports included"},
    {Limit::globals, "globals", count, "globals of a module, imports included"},
    {Limit::functions, "functions", count, "functions of a module, imports included"},
    {Limit::module_size, "module_size", bytes, "bytes of the module"},
    {Limit::load, "load", nanoseconds, "time for validation and compilation"},
    {Limit::host_memory, "host_memory", bytes, "memory the host holds for the guest"},
    {Limit::total_memory, "total_memory", bytes, "linear memory, 8 bytes a table element, and host memory"},
    {Limit::fuel, "fuel", fuel, "executed operators and host calls, by the schedule berth-fuel-1"},
    {Limit::wall, "wall", nanoseconds, "time from the start of the call, suspension included"},
    {Limit::stack_depth, "stack_depth", count, "nested activations of functions that can recurse"},
    {Limit::reentry, "reentry", count, "host-to-guest calls made from inside a host call"},
    {Limit::handles, "handles", count, "live handles"},
    {Limit::pending, "pending", count, "unfinished asynchronous operations"},
    {Limit::host_arg, "host_arg", bytes, "bytes of one host-call argument or outcome"},
    {Limit::input, "input", bytes, "bytes of the call's input"},
    {Limit::output, "output", bytes, "bytes of the call's result and standard output"},
    {Limit::host_calls, "host_calls", count, "host calls of one call"},
    {Limit::host_call, "host_call", nanoseconds, "time of one synchronous host call"},
    {Limit::log_bytes, "log_bytes", bytes, "bytes of log text of one call"},
    {Limit::log_records, "log_records", count, "log records of one call"},
    {Limit::sleep, "sleep", nanoseconds, "one sleep"},
    {Limit::concurrency, "concurrency", count, "calls running at once"},
    {Limit::queue, "queue", count, "calls waiting"},
    {Limit::queue_wait, "queue_wait", nanoseconds, "time a call waits for its turn"},
    {Limit::processes, "processes", count, "processes of a subprocess tree"},
    {Limit::open_files, "open_files", count, "open descriptors of a process"},
    {Limit::cpu_time, "cpu_time", nanoseconds, "processor time of a subprocess tree"},
    {Limit::file_size, "file_size", bytes, "size of a file that a process writes"},
    {Limit::stderr_bytes, "stderr", bytes, "kept bytes of standard error of a process"},
}};

namespace {

consteval bool table_in_order() {
    for (std::size_t i = 0; i < limit_table.size(); ++i) {
        if (static_cast<std::size_t>(limit_table[i].limit) != i) return false;
    }
    return true;
}
static_assert(table_in_order());

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t second = 1'000'000'000;

}  // namespace

const LimitRow& row(Limit limit) noexcept { return limit_table[static_cast<std::size_t>(limit)]; }

std::optional<Limit> limit_named(std::string_view name) noexcept {
    for (const auto& candidate : limit_table) {
        if (candidate.name == name) return candidate.limit;
    }
    return std::nullopt;
}

Result<std::uint64_t> parse_limit(Limit limit, std::string_view text) {
    if (text == "none") return Limits::unlimited;
    switch (row(limit).unit) {
        case bytes: return parse_size(text);
        case nanoseconds: {
            BERTH_TRY(const auto duration, parse_duration(text));
            return static_cast<std::uint64_t>(duration.count());
        }
        case fuel:
        case count: break;
    }
    std::uint64_t value = 0;
    if (text.empty()) return fail(Code::bad_input, format("limit {} needs a whole number or none", name(limit)));
    for (const char c : text) {
        if (c == '_') continue;
        if (c < '0' || c > '9' || value > (Limits::unlimited - 10) / 10) {
            return fail(Code::bad_input, format("\"{}\" is no value for the limit {}; write a whole number or none", text, name(limit)));
        }
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

std::string limit_text(Limit limit, std::uint64_t value) {
    if (value == Limits::unlimited) return "none";
    switch (row(limit).unit) {
        case bytes: return size_text(value);
        case nanoseconds: return duration_text(std::chrono::nanoseconds(static_cast<std::int64_t>(value)));
        case fuel:
        case count: return format("{}", value);
    }
    return {};
}

Error over_limit(Limit limit, std::uint64_t bound) {
    const auto text = limit_text(limit, bound);
    const auto end = [&](Code code, std::string message) {
        Error error(code, std::move(message));
        error.set_fix(format("raise the limit {0} (--limit {0}=…, limits: {{{0}: …}})", name(limit)));
        return error;
    };
    switch (limit) {
        case Limit::memory: return end(Code::memory_limit, format("the memory would grow beyond {}", text));
        case Limit::table_elements: return end(Code::memory_limit, format("a table would grow beyond {} elements", text));
        case Limit::host_memory: return end(Code::memory_limit, format("the host would hold more than {} for the guest (input, output, open files)", text));
        case Limit::total_memory: return end(Code::memory_limit, format("memory, tables and what the host holds for the guest would pass {}", text));
        case Limit::fuel: return end(Code::cpu_limit, format("the fuel budget of {} is used up", text));
        case Limit::wall: return end(Code::timeout, format("no answer within {}", text));
        case Limit::load: return end(Code::load_timeout, format("validation and compilation took longer than {}", text));
        case Limit::stack_depth: return end(Code::stack_overflow, format("calls are nested more than {} deep", text));
        case Limit::input: return end(Code::payload_too_large, format("the input is larger than {}", text));
        case Limit::output: return end(Code::output_too_large, format("the output passed its limit of {}", text));
        case Limit::host_calls: return end(Code::quota_exceeded, format("more than {} host calls in one call", text));
        case Limit::pending: return end(Code::quota_exceeded, format("more than {} operations at once", text));
        default: return end(Code::quota_exceeded, format("the limit {} of {} was passed", name(limit), text));
    }
}

Limits default_limits(std::string_view profile, unsigned cores) {
    Limits limits;
    if (profile == "subprocess") {
        limits.set(Limit::wall, 30 * second).set(Limit::input, 256 * mib).set(Limit::output, 256 * mib).set(Limit::log_bytes, mib)
            .set(Limit::log_records, 1'000).set(Limit::stderr_bytes, 512 * kib).set(Limit::queue, 1'024).set(Limit::queue_wait, 10 * second)
            .set(Limit::concurrency, cores * 8 > 32 ? cores * 8 : 32);
        return limits;
    }
    // wasi, bare and component share one row; the other worlds bring theirs when they exist.
    limits.set(Limit::memory, 128 * mib).set(Limit::total_memory, 256 * mib).set(Limit::fuel, 10'000'000'000).set(Limit::wall, 30 * second)
        .set(Limit::stack_depth, 8'192).set(Limit::reentry, 0).set(Limit::tables, 10).set(Limit::table_elements, 100'000)
        .set(Limit::globals, 10'000).set(Limit::functions, 100'000).set(Limit::module_size, 256 * mib).set(Limit::load, 120 * second)
        .set(Limit::handles, 1'024).set(Limit::pending, 1'024).set(Limit::host_arg, 64 * mib).set(Limit::input, 64 * mib)
        .set(Limit::output, 64 * mib).set(Limit::host_call, 30 * second).set(Limit::log_bytes, mib).set(Limit::log_records, 10'000)
        .set(Limit::queue, 1'024).set(Limit::queue_wait, 10 * second).set(Limit::concurrency, std::uint64_t{64} * cores);
    return limits;
}

}  // namespace berth
