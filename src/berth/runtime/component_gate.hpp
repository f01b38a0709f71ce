#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "berth/base/hash.hpp"
#include "berth/engine/component.hpp"
#include "berth/host/host_journal.hpp"
#include "berth/host/providers/guest_waker.hpp"
#include "berth/host/providers/network.hpp"
#include "berth/runtime/handler_body.hpp"
#include "berth/runtime/wasm_call.hpp"

namespace berth {

/// Texts with their length in front, as components get them.
class PackedText {
public:
    explicit PackedText(std::string& out) : out_(out) { out_.clear(); }
    void text(std::string_view value) {
        number(value.size());
        out_.append(value);
    }
    void number(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
        out_.push_back(static_cast<char>(value));
    }

private:
    std::string& out_;
};

struct ComponentObjects;

/// What stands between one call of a component and the providers: grants, quotas, counts, and the journal of what was
/// answered. Gate does the same for modules. One call, one thread at a time.
class ComponentGate final : public ComponentHost {
public:
    ComponentGate(const WasmProgram& program, const WasmCallSetup& setup, const Limits& limits, CallRecord& record, HandlerBody& handler, std::span<const std::string> variables);
    ~ComponentGate() override;  // adds its counts to the metrics, and leaves open files to an instance that stays

    Next perform(const ComponentOp& op, ComponentAnswer& answer) override;
    void wait(std::uint64_t due) override;

    /// The latest denial, or what ended the call.
    const std::optional<Error>& failure() const noexcept { return failure_; }
    std::uint64_t host_calls() const noexcept { return host_calls_; }

    // For bodies.
    static constexpr std::int32_t denied = -1;  // the guest's own error, or the end of its call where there is none
    static constexpr std::int32_t ends = -2;
    GuestClock& clock() const noexcept { return setup_.guest_clock; }
    RandomSource& random() const noexcept { return setup_.random; }
    InputStream& input() const noexcept { return setup_.input; }
    OutputStream& output() const noexcept { return output_; }
    OutputStream& error() const noexcept { return error_; }
    const Limits& limits() const noexcept { return limits_; }
    const WasmProgram& program() const noexcept { return program_; }
    const GrantSet& grants() const noexcept { return setup_.grants; }
    const WasmCallSetup& setup() const noexcept { return setup_; }
    /// Of a handler. Each ends the call when a bound is passed.
    std::int32_t read_request(std::size_t most, ComponentAnswer& answer);
    std::int32_t begin_response(CallResponse response);
    std::int32_t response_room();
    std::int32_t write_response(std::string_view part);
    std::int32_t end_response(HandlerBody::Fields trailers);

    /// What went through a handler.
    struct Handled {
        std::uint64_t bytes_in = 0;
        std::uint64_t bytes_out = 0;
        bool whole = false;                  // its answer
        std::optional<CallResponse> head;    // for a journal: with one only
        Sha256 body;                         // likewise
    };
    NetworkUse& network_use() noexcept { return network_use_; }
    Handled& handled() noexcept { return handled_; }
    bool has_begun_response() const noexcept { return begun_; }
    std::span<const std::string> variables() const noexcept { return variables_; }
    std::string& scratch() noexcept { return scratch_; }
    bool stopped() const noexcept;
    /// Ends the call: for this reason, or because it was stopped from outside.
    std::int32_t end(Error error);
    std::int32_t stop() noexcept { return ends; }
    std::int32_t answered(const Result<void>& result) { return result ? 0 : end(result.error()); }
    /// `denied` unless it is granted on this value; counted and told to the listener.
    std::int32_t require(Capability capability, std::string_view value = {});
    /// A denial that was found elsewhere: by the guard of the network.
    std::int32_t deny(const Denial& denial);
    std::int32_t deny_origin(Capability capability, std::string_view origin);
    /// Writes down what was taken away since the last look; on the guest's thread, between operations.
    void record_revocations();
    /// A granted value that the guest was given.
    void used(Capability capability, std::string_view value);

    std::function<void()> waker();
    std::shared_ptr<const NetworkGuard> guard();

    using Object = std::variant<std::unique_ptr<File>, std::unique_ptr<Directory>, std::unique_ptr<HttpExchange>, std::unique_ptr<TcpSocket>, std::unique_ptr<UdpSocket>, std::unique_ptr<NameLookup>>;
    using Objects = std::map<std::uint64_t, Object>;
    /// The number of something open; 0: the limit `handles` is reached.
    std::uint64_t add(Object object);
    template <class T>
    T* find(std::uint64_t number) noexcept {
        const auto found = objects_.find(number);
        if (found == objects_.end()) return nullptr;
        auto* held = std::get_if<std::unique_ptr<T>>(&found->second);
        return held == nullptr ? nullptr : held->get();
    }
    void close(std::uint64_t number) noexcept { objects_.erase(number); }
    /// The capability that a request was sent under.
    void note_sent(std::uint64_t number, Capability capability) { sent_[number] = capability; }
    /// The name that a look-up is for, and where it leads: a grant on the name is one on these addresses.
    void note_name(std::uint64_t number, std::string name) { looked_up_[number] = std::move(name); }
    void pin(std::uint64_t number, const IpAddress& address);
    std::span<const std::string> names_of(const IpAddress& address) const noexcept;
    std::optional<Capability> sent_under(std::uint64_t number) const {
        const auto found = sent_.find(number);
        return found == sent_.end() ? std::nullopt : std::optional(found->second);
    }

private:
    void let_handler_wake();
    Next perform_one(const ComponentOp& op, ComponentAnswer& answer);
    Next execute(const ComponentOp& op, const HostFunction& function, ComponentAnswer& answer);
    Next through_journal(const ComponentOp& op, const HostFunction& function, ComponentAnswer& answer);
    Next recorded(const ComponentOp& op, const HostFunction& function, ComponentAnswer& answer);
    Next serve(const ComponentOp& op, ByteView outcome, ComponentAnswer& answer);
    Next journal_failed();
    void restore(const ComponentOp& op, const ComponentAnswer& answer, std::size_t size);
    void count(ComponentFunction function, HostOutcome outcome) noexcept;

    const WasmProgram& program_;
    const WasmCallSetup& setup_;
    const Limits& limits_;
    CallRecord& record_;
    HandlerBody& handler_;
    bool handler_wakes_ = false;                   // it knows whom to wake
    Handled handled_;
    NetworkUse network_use_;
    bool begun_ = false;                           // its answer
    std::span<const std::string> variables_;
    HostJournal* journal_;
    std::uint64_t told_revoked_ = 0;               // bits of what the journal knows of as revoked
    OutputStream& output_;
    OutputStream& error_;
    GuestFiber* const fiber_;                      // that the call runs on; null: a thread of its own
    std::optional<GuestWaker> waker_;              // made when something is first waited for
    std::shared_ptr<const NetworkGuard> guard_;    // owners: this, and requests that are still being ended
    Objects objects_;
    std::uint64_t next_object_ = 1;
    std::uint64_t lost_below_ = 0;                 // of a call that was taken up: numbers below were given out by the host before
    std::map<std::uint64_t, Capability> sent_;
    std::map<std::uint64_t, std::string> looked_up_;
    std::map<IpAddress, std::vector<std::string>> pinned_;
    std::uint64_t host_calls_ = 0;
    std::optional<Error> failure_;
    bool is_over_ = false;  // the host has ended the call
    std::string scratch_;
    std::uint32_t function_ = 0;                   // that is being performed
    HostCounts counts_{component_function_count};  // added to the metrics at the end
};

/// What a component whose instance stays has open between its calls: files and directories. Numbers are given out once, so
/// that none leads from one call to what another one has opened.
struct ComponentObjects {
    ComponentGate::Objects open;
    std::uint64_t next = 1;
};

}  // namespace berth
