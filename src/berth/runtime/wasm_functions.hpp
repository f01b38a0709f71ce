#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "berth/async/offload.hpp"
#include "berth/base/clock.hpp"
#include "berth/host/gate.hpp"
#include "berth/host/record_host_calls.hpp"
#include "berth/host/providers/random_source.hpp"
#include "berth/runtime/call_fibers.hpp"
#include "berth/runtime/engine.hpp"
#include "berth/runtime/wasm_program.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

class FunctionLogs;
class Network;

class CallRecord;

/// What the engine of wasm functions gives to every guest. References outlive the engine.
struct WasmHost {
    const Clock& clock;
    RandomSource& random;  // safe from any thread
    Network& network;
    Log& log;
    const std::vector<std::string>& environment;
    std::filesystem::path record_folder;  // where the journal of each call is written, by its id; empty: not recorded
    std::filesystem::path durable_folder = {};  // where the journals of durable calls are, until their records are written; empty: none are durable
    std::function<void(RecordPoint, std::uint64_t)> at_point = {};  // CallMode::at_point of durable calls
    std::function<HostMetrics*(World)> metrics;
    DenialListener* denials = nullptr;  // told of denied calls; null: they go to the log
    Fibers fibers = Fibers::where_known;
    std::uint64_t seed = 0;             // of deterministic calls that bring none
    std::int64_t clock_start = 0;       // likewise
    FunctionLogs* logs = nullptr;       // what guests say on standard error, for those who look at the host; null: nobody
};

/// Functions that are wasm modules: commands (`_start`, input on standard input, output as it is written) and modules
/// whose manifest names an export. A call runs where its caller is, and in a reactor on its loop, on a worker or on a fiber.
class WasmFunctions final : public Engine {
public:
    struct Served {
        FunctionRef function;                        // invalid ones are listed and not called
        std::shared_ptr<const WasmProgram> program;  // null for those
        std::string entry;                           // export to call; empty: _start
        std::vector<std::string> arguments;          // of a command
        std::uint32_t pooled = 0;                    // calls that one instance serves, one behind the other; 0: each call has a fresh one
    };

    WasmFunctions(WasmHost host, std::vector<Served> functions);
    ~WasmFunctions() override;

    std::vector<FunctionRef> list() const override;
    Task<Outcome> call(FunctionRef function, Call& call) override;
    bool resumes(const Function& function) const override;
    Task<void> close(std::chrono::milliseconds grace) override;

private:
    struct Slot;
    void run(Slot& slot, Call& call, Outcome& outcome);
    /// Of a call in a fresh instance: functions that wait run the next ones on fibers.
    static void note_waits(Slot& slot, bool waited) noexcept;
    /// Whether this call does; then it is counted in fibers_.
    bool runs_on_fiber(Slot& slot, const Call& call);
    /// Of a call in a fresh instance, with what its journal is called where the host records every call.
    CallMode mode_of(const Call& call, bool deterministic, const std::filesystem::path& kept) const;
    void run_fresh(Slot& slot, Call& call, Outcome& outcome);
    void run_pooled(Slot& slot, Call& call, Outcome& outcome);
    void run_in(Slot& slot, WasmInstance& instance, Call& call, Outcome& outcome);
    Result<CallMode> kept_mode(const WasmInstance& instance, const Call& call) const;

    WasmHost host_;
    std::map<std::string, std::unique_ptr<Slot>, std::less<>> slots_;  // fixed after construction
    std::atomic<std::uint32_t> fibers_{0};                             // under way
    CancelSource closing_;
};

}  // namespace berth
