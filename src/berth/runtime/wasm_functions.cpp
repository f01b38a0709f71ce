#include "berth/runtime/wasm_functions.hpp"

#include <mutex>

#include "berth/async/guest_fiber.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/runtime/call_conditions.hpp"
#include "berth/runtime/function_logs.hpp"
#include "berth/runtime/handler_body.hpp"
#include "berth/runtime/kept_refusals.hpp"
#include "berth/runtime/traced_network.hpp"
#include "berth/runtime/wasm_call.hpp"
#include "berth/runtime/wasm_instance.hpp"

namespace berth {
namespace {

/// Standard error of a guest as log records, a line each, bounded by the limits of the call.
class LogLines final : public OutputStream {
public:
    LogLines(std::vector<LogEntry>& entries, const Limits& limits) : entries_(entries), bytes_left_(limits[Limit::log_bytes]), records_left_(limits[Limit::log_records]) {}

    Written write(ByteView bytes) override {
        auto text = as_text(bytes);
        while (!text.empty()) {
            const auto end = text.find('\n');
            line_.append(text.substr(0, end));
            if (end == std::string_view::npos) break;
            flush();
            text.remove_prefix(end + 1);
        }
        if (line_.size() > 65'536) flush();
        return Written::all;
    }

    void flush() {
        if (line_.empty()) return;
        if (records_left_ != 0 && line_.size() <= bytes_left_) {
            --records_left_;
            bytes_left_ -= line_.size();
            entries_.push_back({"info", std::move(line_)});
        }
        line_.clear();
    }

private:
    std::vector<LogEntry>& entries_;
    std::string line_;
    std::uint64_t bytes_left_;
    std::uint64_t records_left_;
};

/// Puts every denied call into the log: who wanted what, which rule refused it and the line to add.
class LoggedDenials final : public DenialListener {
public:
    LoggedDenials(Log& log, const Call& call) : log_(log), call_(call) {}
    void denied(std::string_view world, std::string_view function, const Denial& denial) override {
        log_.write(LogLevel::warn, "capability", format("denied: {}", name(denial.capability)),
                   {{"call", call_.id}, {"function", call_.function}, {"host_function", format("{}.{}", world, function)}, {"scope", denial.scope}, {"rule", denial.rule}, {"fix", denial.fix}});
    }

private:
    Log& log_;
    const Call& call_;
};

/// Puts into the log where a guest can be reached.
class LoggedListening final : public ListenNews {
public:
    LoggedListening(Log& log, const Call& call) : log_(log), call_(call) {}
    void listening(const SocketAddress& address) override { log_.write(LogLevel::info, "network", "a guest listens", {{"call", call_.id}, {"function", call_.function}, {"address", address.text()}}); }

private:
    Log& log_;
    const Call& call_;
};

/// With the large values beside it.
Result<void> copy_journal(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::error_code problem;
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing, problem);
    const auto blocks = from.string() + ".blocks";
    if (std::error_code none; !problem && std::filesystem::exists(blocks, none)) {
        std::filesystem::copy(blocks, to.string() + ".blocks", std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing, problem);
    }
    if (problem) return fail(Code::cannot_create, format("the journal {} cannot be written: {}", to.string(), problem.message()));
    return {};
}

}  // namespace

struct WasmFunctions::Slot {
    Served served;
    GuestProfile profile;
    GuestProfile fiber_profile;          // of the parts of its calls between their waits
    std::atomic<int> waiting_score{0};   // counts calls that did not wait until the next one may hold its thread again
    std::mutex mutex;
    std::vector<std::unique_ptr<WasmInstance>> told;    // guarded by mutex, as the next: idle ones of this version, whose grants are whole and whose calls all have journals
    std::vector<std::unique_ptr<WasmInstance>> untold;  // those of calls that are not recorded
};

WasmFunctions::WasmFunctions(WasmHost host, std::vector<Served> functions) : host_(std::move(host)) {
    for (auto& served : functions) {
        auto slot = std::make_unique<Slot>();
        slot->served = std::move(served);
        const auto& name = slot->served.function->name;
        slots_.emplace(name, std::move(slot));
    }
}

WasmFunctions::~WasmFunctions() = default;

std::vector<FunctionRef> WasmFunctions::list() const {
    std::vector<FunctionRef> functions;
    for (const auto& [name, slot] : slots_) functions.push_back(slot->served.function);
    return functions;
}

Result<CallMode> WasmFunctions::kept_mode(const WasmInstance& instance, const Call& call) const {
    CallMode mode;
    if (call.mode != nullptr) mode = *call.mode;
    mode.deterministic = instance.program().deterministic() && mode.replay == nullptr;
    const bool other = call.mode != nullptr && ((call.mode->deterministic && !mode.deterministic) || mode.seed != 0 || mode.clock_start != 0 || !mode.save_files.empty() || mode.durable || mode.faults != nullptr);
    if (other || call.durable || (call.streams != nullptr && mode.replay == nullptr)) {
        return fail(Code::not_implemented, "a call into an instance that stays has the clock, seed, files and streams of its instance, is not taken up by another host and takes no fault plan");
    }
    if (mode.replay != nullptr) return mode;
    if (mode.record.empty() && !host_.record_folder.empty()) mode.record = host_.record_folder / (call.id + ".bj");
    if (mode.record.empty() && mode.trace == nullptr) return mode;
    if (!instance.is_told()) {
        Error error(Code::conflict, "the instance has served calls that are in no journal: one that begins now could not tell how it came to what it holds");
        error.set_fix("record the calls of an instance from the first one on, or open another one");
        return fail(std::move(error));
    }
    mode.before = instance.last_told();
    return mode;
}

void WasmFunctions::run_in(Slot& slot, WasmInstance& instance, Call& call, Outcome& outcome) {
    const auto& program = *slot.served.program;
    const auto refuse = [&](Error error) { outcome.error = std::move(error); };
    if (&instance.program() != &program) return refuse(Error(Code::conflict, format("the instance is none of this version of {}", slot.served.function->name)));
    const auto entered = WasmInstance::Entry::enter(instance);
    if (!entered) return refuse(entered.error());
    auto asked = kept_mode(instance, call);
    if (!asked) return refuse(asked.error());
    auto& mode = *asked;
    CallTrace trace;
    if (!mode.record.empty() && mode.trace == nullptr) mode.trace = &trace;
    auto& conditions = instance.conditions();
    std::unique_ptr<CallTape> tape;
    if (mode.replay != nullptr) {
        auto setup = mode.replay_setup;
        if (call.streams != nullptr) {
            setup.output = &call.streams->output;
            setup.error = &call.streams->error;
        }
        tape = std::make_unique<ReplayTape>(*mode.replay, std::move(setup), mode.trace);
    } else if (mode.trace != nullptr) {
        tape = std::make_unique<RecordTape>(program, mode, conditions.clock().wall().time_since_epoch().count());
    }
    LoggedDenials logged(host_.log, call);
    KeptRefusals refusals(call.denials != nullptr ? *call.denials : host_.denials != nullptr ? *host_.denials : logged);
    auto limits = program.limits();
    limits.tighten(call.tighten);
    CallRecord record;
    const CancelCallback on_close(closing_.token(), [&] { record.request_stop(StopCause::shutdown); });
    const auto entries = instance.entries();
    // A module got its network with its instance; a component asks for it in each call.
    std::optional<TracedNetwork> traced;
    Network* network = &conditions.network();
    if (call.operations != nullptr && program.component() != nullptr) network = &traced.emplace(*network, host_.clock, call, *call.operations);
    run_wasm(program, call,
             {.clock = host_.clock,
              .limits = limits,
              .grants = instance.grants(),
              .guest_clock = conditions.clock(),
              .files = conditions.files(),
              .random = conditions.random(),
              .network = *network,
              .input = conditions.streams().input,
              .output = conditions.streams().output,
              .error = conditions.streams().error,
              .account = instance.account(),
              .metrics = host_.metrics(program.world_kind()),
              .denials = &refusals,
              .tape = tape.get(),
              .instance = &instance,
              .is_virtual = mode.deterministic},
             record, outcome);
    outcome.refused = refusals.take();
    // A journal that could not be written whole tells nothing.
    if (instance.entries() != entries && mode.replay == nullptr && tape != nullptr && !outcome.error) instance.tell({.name = mode.record.empty() ? call.id : mode.record.stem().string(), .root = mode.trace->root});
    LogLines lines(outcome.logs, program.limits());
    const auto errors = instance.take_errors();
    lines.write(as_bytes(errors));
    lines.flush();
    if (!outcome.response) outcome.usage.bytes_out += outcome.output.bytes.size();
}

void WasmFunctions::run(Slot& slot, Call& call, Outcome& outcome) {
    const bool replays = call.mode != nullptr && call.mode->replay != nullptr;
    if (call.instance != nullptr) run_in(slot, *call.instance, call, outcome);
    else if (slot.served.pooled != 0 && !replays) run_pooled(slot, call, outcome);
    else run_fresh(slot, call, outcome);
    if (host_.logs != nullptr) {
        for (const auto& entry : outcome.logs) host_.logs->add(slot.served.function->name, call.request_id, "stderr", entry);
    }
}

void WasmFunctions::run_pooled(Slot& slot, Call& call, Outcome& outcome) {
    // An instance serves either calls that are all recorded or calls that are all not.
    const bool is_told = call.mode != nullptr || !host_.record_folder.empty();
    auto& pool = is_told ? slot.told : slot.untold;
    std::unique_ptr<WasmInstance> instance;
    {
        const std::lock_guard lock(slot.mutex);
        if (!pool.empty()) {
            instance = std::move(pool.back());
            pool.pop_back();
        }
    }
    if (instance == nullptr) {
        auto opened = WasmInstance::open(slot.served.program, host_.clock, host_.random, host_.network, host_.environment);
        if (!opened) {
            outcome.error = opened.error();
            return;
        }
        instance = std::move(*opened);
    }
    run_in(slot, *instance, call, outcome);
    const bool used_up = instance->calls() >= slot.served.pooled;
    if (!outcome.error && !used_up && !instance->closed() && instance->grants().revoked() == 0 && (!is_told || instance->is_told())) {
        const std::lock_guard lock(slot.mutex);
        pool.push_back(std::move(instance));
    }
}

CallMode WasmFunctions::mode_of(const Call& call, bool deterministic, const std::filesystem::path& kept) const {
    CallMode mode;
    if (call.mode != nullptr) mode = *call.mode;
    mode.deterministic = mode.deterministic || (deterministic && mode.replay == nullptr);
    if (mode.deterministic) {
        if (mode.seed == 0) mode.seed = host_.seed;
        if (mode.clock_start == 0) mode.clock_start = host_.clock_start;
    }
    mode.durable = call.durable && mode.replay == nullptr && mode.record.empty();
    if (mode.durable) {
        mode.record = host_.durable_folder / (call.id + ".bj");
        mode.at_point = host_.at_point;
    } else if (mode.replay == nullptr && mode.record.empty()) {
        mode.record = kept;
    }
    return mode;
}

void WasmFunctions::run_fresh(Slot& slot, Call& call, Outcome& outcome) {
    const auto& program = *slot.served.program;
    std::vector<LogEntry> logs;
    TextInput input(call.input.bytes);
    MemoryAccount account;
    BufferedOutput output(program.limits()[Limit::output], &account);
    LogLines error(logs, program.limits());
    LoggedDenials logged(host_.log, call);
    KeptRefusals refusals(call.denials != nullptr ? *call.denials : host_.denials != nullptr ? *host_.denials : logged);
    LoggedListening listening(host_.log, call);
    const auto streams = call.streams != nullptr ? *call.streams : CallStreams{input, output, error};
    static const CallMode as_it_is;
    const auto kept = host_.record_folder.empty() ? std::filesystem::path() : host_.record_folder / (call.id + ".bj");
    std::optional<CallMode> settled;
    if (call.mode != nullptr || call.durable || program.deterministic() || !kept.empty()) settled = mode_of(call, program.deterministic(), kept);
    const auto& mode = settled ? *settled : as_it_is;
    std::optional<Limits> tightened;
    if (call.tighten != Limits()) tightened.emplace(program.limits()).tighten(call.tighten);
    const auto& limits = tightened ? *tightened : program.limits();
    auto conditions = CallConditions::create(program, limits, mode, host_.clock, host_.random, host_.network, streams);
    if (!conditions) {
        outcome.error = conditions.error();
        return;
    }
    GrantSet grants(program.grants(), GrantSet::ForCall::one);
    std::optional<TracedNetwork> traced;
    Network* network = &(*conditions)->network();
    if (call.operations != nullptr) network = &traced.emplace(*network, host_.clock, call, *call.operations);
    CallRecord record;
    const CancelCallback on_close(closing_.token(), [&] { record.request_stop(StopCause::shutdown); });
    run_wasm(program, call,
             {.clock = host_.clock,
              .limits = limits,
              .grants = grants,
              .guest_clock = (*conditions)->clock(),
              .files = (*conditions)->files(),
              .random = (*conditions)->random(),
              .network = *network,
              .input = (*conditions)->streams().input,
              .output = (*conditions)->streams().output,
              .error = (*conditions)->streams().error,
              .account = account,
              .environment = host_.environment,
              .metrics = host_.metrics(program.world_kind()),
              .denials = &refusals,
              .tape = (*conditions)->tape(),
              .news = &listening,
              .is_virtual = mode.deterministic && mode.replay == nullptr},
             record, outcome);
    note_waits(slot, record.has_waited());
    outcome.refused = refusals.take();
    if (const auto finished = (*conditions)->finish(); !finished && !outcome.error) outcome.error = finished.error();
    if (mode.durable && !kept.empty()) {
        if (const auto copied = copy_journal(mode.record, kept); !copied && !outcome.error) outcome.error = copied.error();
    }
    error.flush();
    outcome.logs = std::move(logs);
    if (outcome.output.bytes.empty() && !output.text().empty()) {
        outcome.output.bytes = output.take();
        outcome.output.media_type = check_json(outcome.output.bytes) ? "application/json" : "application/octet-stream";
    }
    if (!outcome.response) outcome.usage.bytes_out += outcome.output.bytes.size();  // those of a response are counted as they go
}

void WasmFunctions::note_waits(Slot& slot, bool waited) noexcept {
    constexpr int calls_until_forgotten = 8;
    if (waited) {
        slot.waiting_score.store(calls_until_forgotten, std::memory_order_relaxed);
    } else if (auto score = slot.waiting_score.load(std::memory_order_relaxed); score > 0) [[unlikely]] {
        slot.waiting_score.compare_exchange_strong(score, score - 1, std::memory_order_relaxed);
    }
}

bool WasmFunctions::runs_on_fiber(Slot& slot, const Call& call) {
    if (host_.fibers == Fibers::never || Reactor::current() == nullptr) return false;
    const auto* component = slot.served.program->component();
    if (component == nullptr) {
        // An instance that stays, and one that is restored in place, runs on the stack of its caller.
        const bool wanted = host_.fibers == Fibers::always || slot.waiting_score.load(std::memory_order_relaxed) > 0;
        if (!wanted || call.instance != nullptr || slot.served.pooled != 0) [[likely]] return false;
    }
    // Each takes one of the engine's stacks, which a component does in any case; those beyond them hold a thread.
    if (const auto others = fibers_.fetch_add(1, std::memory_order_relaxed); component != nullptr || others < slot.served.program->linked().module().engine()->status().stacks) return true;
    fibers_.fetch_sub(1, std::memory_order_relaxed);
    return false;
}

Task<Outcome> WasmFunctions::call(FunctionRef function, Call& call) {
    const auto found = slots_.find(function->name);
    Outcome outcome;
    if (found == slots_.end() || found->second->served.function != function || found->second->served.program == nullptr) {
        outcome.error = Error(Code::not_found, format("there is no wasm function {} of this version", function->name));
        co_return outcome;
    }
    if (closing_.requested()) {
        outcome.error = closing_.token().error();
        co_return outcome;
    }
    auto& slot = *found->second;
    if (call.entry.empty()) call.entry = slot.served.entry;
    if (call.arguments.empty() && call.entry.empty()) call.arguments = slot.served.arguments;
    if (runs_on_fiber(slot, call)) {
        const auto body = [&] { run(slot, call, outcome); };
        const bool ran = co_await run_on_fiber(slot.fiber_profile, body);
        fibers_.fetch_sub(1, std::memory_order_relaxed);
        if (ran) co_return outcome;
    }
    const auto start = call.body != nullptr && call.body->waits_for_others() ? RunGuest::on_worker : RunGuest::as_known;
    co_await run_guest(slot.profile, [&] { run(slot, call, outcome); }, start);
    co_return outcome;
}

bool WasmFunctions::resumes(const Function& function) const {
    const auto found = slots_.find(function.name);
    return !host_.durable_folder.empty() && found != slots_.end() && found->second->served.pooled == 0;
}

Task<void> WasmFunctions::close(std::chrono::milliseconds) {
    // Guests run inside their callers; whoever closes waits for those, and this ends what still computes.
    closing_.cancel(CancelCause::shutting_down);
    co_return;
}

}  // namespace berth
