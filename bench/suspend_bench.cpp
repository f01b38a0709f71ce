// Guests that wait on fibers: what a wait costs over what ends it, and what thousands of waiting guests hold.
//
//   suspend_bench [GUESTS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/rows.hpp"
#include "berth/async/offload.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/engine/pending_call.hpp"
#include "berth/engine/module.hpp"

namespace berth {
namespace {

template <class T>
T expect(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "suspend_bench: %s\n", result.error().full_message().c_str());
        std::exit(1);
    }
    return std::move(result).value();
}

constexpr std::string_view text = R"((module (import "h" "wait" (func $wait (result i32))) (memory (export "memory") 1)
  (func (export "waits") (param $n i32) (result i32)
    (loop $again (drop (call $wait)) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 7))
  (func (export "waits_once") (param $n i32) (result i32) (i32.store (i32.const 4096) (local.get $n)) (call $wait))))";

/// The state of one guest: what completes its wait.
struct Waits {
    std::optional<PendingOperation> operation;

    void complete() {
        const auto value = RawValue::of(std::int32_t{1});
        auto taken = std::move(*operation);
        operation.reset();
        std::move(taken).complete(HostStatus::proceed, {&value, 1});
    }
};

HostStatus wait(HostContext& context, std::uint32_t, RawValue*) noexcept {
    context.state_as<Waits>().operation.emplace(PendingOperation::make(context));
    return HostStatus::suspend;
}

std::shared_ptr<LinkedModule> link(const EngineOptions& options) {
    auto wasm = expect(wat_to_wasm(std::string(text)));
    wasm = expect(instrument(wasm, expect(ModuleInfo::read(wasm, {})), {})).wasm;
    const HostImport import{"h", "wait", {{}, {ValueType::i32}}, 0, true};
    return expect(LinkedModule::link(expect(Module::compile(expect(WasmEngine::create(options)), wasm)), {&import, 1}, wait, Linkage::waiting));
}

InvokeRequest request_for(const LinkedModule& linked, std::string_view entry, RawValue& value, Waits& waits, CallRecord& record) {
    InvokeRequest request;
    request.export_index = linked.module().find_export(entry)->index;
    request.values = {&value, 1};
    request.setup.state = &waits;
    request.setup.record = &record;
    request.setup.fuel = 1'000'000'000;
    return request;
}

/// Processor time of the whole process in nanoseconds: a loop may go from one thread to another.
double process_now() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Nanoseconds of processor time for each wait. What wakes the guest costs the same without one, so it is left out: the
/// wait ends as soon as the guest is suspended, and the loop enters it again.
Task<double> waits_of(Reactor& reactor, std::shared_ptr<LinkedModule> linked, int count) {
    co_await reactor.enter();
    GuestProfile profile;
    Waits waits;
    CallRecord record;
    record.arm(std::chrono::steady_clock::now() + std::chrono::minutes(10));
    auto value = RawValue::of(count);
    const auto request = request_for(*linked, "waits", value, waits, record);
    auto call = PendingCall::start(linked, request, [] {});
    InvokeReport report;
    const auto poll = [&] { return call->poll({&value, 1}, report); };
    const auto begin = process_now();
    while (!co_await run_guest(profile, poll)) waits.complete();
    const auto each = (process_now() - begin) / count;
    record.disarm();
    if (report.outcome != CallOutcome::returned || value.i32 != 7) std::abort();
    co_return each;
}

void costs() {
    const auto linked = link({});
    const auto reactors = Reactors::start(1);
    std::vector<double> each;
    for (int round = 0; round < 15; ++round) each.push_back(sync_wait(waits_of(reactors->at(0), linked, 200'000)));
    std::printf("a wait of a guest costs %.0f ns (%.0f to %.0f)\n", bench::median(each), *std::ranges::min_element(each), *std::ranges::max_element(each));
    bench::row("suspend-ns", bench::median(each));
}

/// Resident memory of this process and the page tables behind it, in KiB.
double resident() {
    std::ifstream status("/proc/self/status");
    double sum = 0;
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:") || line.starts_with("VmPTE:")) sum += std::strtod(line.c_str() + 6, nullptr);
    }
    return sum;
}

void crowd(std::size_t count) {
    const auto linked = link({.instances = static_cast<std::uint32_t>(count), .stacks = static_cast<std::uint32_t>(count)});
    struct Guest {
        Waits waits;
        CallRecord record;
        RawValue value = RawValue::of(std::int32_t{1});
        std::unique_ptr<PendingCall> call;
    };
    std::vector<std::unique_ptr<Guest>> guests;
    guests.reserve(count);
    InvokeReport report;
    const double before = resident();
    while (guests.size() < count) {
        auto guest = std::make_unique<Guest>();
        guest->record.arm(std::chrono::steady_clock::now() + std::chrono::minutes(10));
        guest->call = PendingCall::start(linked, request_for(*linked, "waits_once", guest->value, guest->waits, guest->record), [] {});
        if (guest->call->poll({&guest->value, 1}, report)) {
            std::printf("guest %zu could not be made: %s\n", guests.size(), report.message.c_str());
            guest->record.disarm();
            break;
        }
        guests.push_back(std::move(guest));
    }
    const double touched = 4;  // of the memory of each
    const double each = guests.empty() ? 0 : (resident() - before) / static_cast<double>(guests.size()) - touched;
    std::printf("%zu guests wait, %.1f KiB each over their memory\n", guests.size(), each);
    for (auto& guest : guests) {
        guest->waits.complete();
        if (!guest->call->poll({&guest->value, 1}, report) || report.outcome != CallOutcome::returned || guest->value.i32 != 1) std::abort();
        guest->record.disarm();
    }
    bench::row("waiting-guests", static_cast<double>(guests.size()));
    bench::row("waiting-guest-kib", each);
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
    if (argc > 2) {
        std::fprintf(stderr, "usage: suspend_bench [GUESTS]\n");
        return 2;
    }
    berth::costs();
    berth::crowd(argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 10'000);
    return 0;
}
