#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/host/journal.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/wasm_program.hpp"

namespace berth {

class CallConditions;
class CallControl;
class ComponentInstance;
struct ComponentObjects;
struct ComponentReport;
struct ComponentSetup;
struct GuestRequest;
class Instance;
class Network;

/// An output of a guest that stays, whose target is another one in each call.
class CallOutput final : public OutputStream {
public:
    void lead_to(OutputStream& target) noexcept { target_ = &target; }
    Written write(ByteView bytes) override { return target_->write(bytes); }
    bool is_terminal() const override { return target_->is_terminal(); }

private:
    OutputStream* target_ = nullptr;
};

/// An instance of a program that stays between calls, with what its world keeps for it: memory, globals, open files. Each
/// entry is a Call that names it (Call::instance), with the checks, limits and events of any other call.
///
/// One call at a time: a second one is refused with `conflict`. After a call that did not return (trap, limit, cancellation,
/// end of the program) it is closed, and every later one ends with `instance_terminated`.
/// `revoke` and `closed` may be used from any thread.
class WasmInstance {
public:
    /// Nothing of the guest runs yet: its start section belongs to the first call. Fails with io_error when a mount cannot
    /// be opened, with not_implemented for a component that handles no requests: its command runs once.
    static Result<std::unique_ptr<WasmInstance>> open(std::shared_ptr<const WasmProgram> program, const Clock& clock, RandomSource& random, Network& network, std::vector<std::string> environment);
    ~WasmInstance();
    WasmInstance(const WasmInstance&) = delete;
    WasmInstance& operator=(const WasmInstance&) = delete;

    /// Takes a capability away for good, also from the call in progress; see Runtime::revoke. False when it was not held.
    bool revoke(Capability capability) noexcept;
    bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
    std::uint64_t calls() const noexcept { return calls_.load(std::memory_order_relaxed); }

    /// For the engine: the one call in progress. Ends with conflict or instance_terminated when there can be none.
    class Entry {
    public:
        static Result<std::unique_ptr<Entry>> enter(WasmInstance& instance);
        ~Entry();
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;

    private:
        explicit Entry(WasmInstance& instance) : instance_(instance) {}
        WasmInstance& instance_;
    };

    const WasmProgram& program() const noexcept { return *program_; }
    GrantSet& grants() noexcept { return grants_; }
    GuestState& guest() noexcept { return *guest_; }                            // not of a component
    ComponentObjects& objects() noexcept { return *objects_; }                  // of a component: what it has open
    const std::vector<std::string>& environment() const noexcept { return environment_; }  // that it sees
    MemoryAccount& account() noexcept { return account_; }
    CallConditions& conditions() noexcept { return *conditions_; }
    /// What the guest wrote to standard error since this was last taken; what it wrote to standard output goes nowhere.
    std::string take_errors();

    // What follows is for the call that has entered.

    /// Where what the guest writes goes in this call.
    void lead_outputs(OutputStream& output, OutputStream& error) noexcept;
    /// Enters the export, making the instance first when there is none. Between `attach` and `detach` a revocation reaches
    /// the call through its control.
    void invoke(const InvokeRequest& request, InvokeReport& report);
    /// The same for the handler of a component.
    void handle(const ComponentSetup& setup, const GuestRequest& request, ComponentReport& report);
    void attach(CallControl& control) noexcept;
    void detach() noexcept;

    /// Whether each call that the guest has served is in a journal. Only then can a later one be recorded: its journal names the
    /// one before it, and all of them together tell how the instance came to what it holds.
    bool is_told() const noexcept { return entries_ == told_; }
    /// How often the guest was entered; a call that ends before that changes nothing of it.
    std::uint64_t entries() const noexcept { return entries_; }
    const std::optional<JournalBefore>& last_told() const noexcept { return last_told_; }
    /// The call that has just ended is told by this journal.
    void tell(JournalBefore journal);

private:
    WasmInstance(std::shared_ptr<const WasmProgram> program, std::vector<std::string> environment);

    std::shared_ptr<const WasmProgram> program_;  // shared by its instances
    Limits limits_;
    std::vector<std::string> environment_;
    GrantSet grants_;
    MemoryAccount account_;
    TextInput input_;
    BufferedOutput output_;
    BufferedOutput error_;
    CallOutput shown_output_;  // those that the guest has
    CallOutput shown_error_;
    std::unique_ptr<CallConditions> conditions_;
    std::unique_ptr<GuestState> guest_;
    std::unique_ptr<Instance> instance_;
    std::unique_ptr<ComponentObjects> objects_;      // of a component, as the next
    std::unique_ptr<ComponentInstance> component_;
    std::atomic<bool> busy_{false};
    std::atomic<bool> closed_{false};
    std::atomic<std::uint64_t> calls_{0};
    std::uint64_t entries_ = 0;  // by the call that has entered, as all of these
    std::uint64_t told_ = 0;
    std::optional<JournalBefore> last_told_;
    std::mutex mutex_;
    CallControl* control_ = nullptr;  // guarded by mutex_; of the call in progress
};

}  // namespace berth
