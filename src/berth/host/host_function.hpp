#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "berth/capability/capability.hpp"
#include "berth/engine/host_context.hpp"
#include "berth/engine/raw_value.hpp"

namespace berth {

class HostCall;

/// What a host function does to the world outside the guest, for recording and for people.
enum class Effect : std::uint8_t {
    none,    // looks only at the guest itself
    reads,   // reads a value from outside: clock, random, file
    writes,  // changes something outside
    waits,   // may take long
};
std::string_view name(Effect effect) noexcept;

/// How an error of the body, a refused capability or a bad argument reaches the guest.
enum class OnError : std::uint8_t {
    status,  // as the result, by the world's table of numbers
    trap,    // the call ends
};

/// The capability in front of a host function. There is no default: a row that does not say does not compile.
class Needs {
public:
    constexpr Needs(Capability capability) noexcept : mask_(bit(capability)), checked_by_gate_(true) {}
    /// No capability: arguments of the guest itself, its own end.
    static constexpr Needs nothing() noexcept { return Needs(0, false); }
    /// Which of these it needs depends on the arguments: the body asks through HostCall::require.
    template <class... Capabilities>
    static constexpr Needs by_arguments(Capabilities... capabilities) noexcept { return Needs((bit(capabilities) | ...), false); }

    /// The same for functions on an open descriptor: whoever opened it asked already, so importing these asks for nothing.
    template <class... Capabilities>
    static constexpr Needs by_descriptor(Capabilities... capabilities) noexcept {
        Needs needs((bit(capabilities) | ...), false);
        needs.asks_ = false;
        return needs;
    }

    constexpr std::uint64_t mask() const noexcept { return mask_; }
    /// What a module asks for by importing the function.
    constexpr std::uint64_t asked() const noexcept { return asks_ ? mask_ : 0; }
    constexpr bool checked_by_gate() const noexcept { return checked_by_gate_; }
    /// The one capability that the gate checks; only when checked_by_gate().
    constexpr Capability capability() const noexcept { return static_cast<Capability>(std::countr_zero(mask_)); }

private:
    static constexpr std::uint64_t bit(Capability capability) noexcept { return std::uint64_t{1} << static_cast<unsigned>(capability); }
    constexpr Needs(std::uint64_t mask, bool gate) noexcept : mask_(mask), checked_by_gate_(gate) {}

    std::uint64_t mask_;
    bool checked_by_gate_;
    bool asks_ = true;
};

inline constexpr std::size_t max_host_params = 12;

/// Everything but the name and the code of a host function.
struct HostFunctionRow {
    std::string_view doc;                              // one or two sentences for authors of guests
    std::array<std::string_view, max_host_params> params{};  // names of the parameters of the body, in order
    Needs needs;
    Effect effect = Effect::none;
    OnError on_error = OnError::status;
    bool keyed = false;  // its effect happens once for each idempotency key, however often it is asked for: HostJournal::key
    bool (*repeats)(const HostCall& call, const RawValue* params) noexcept = nullptr;  // whether doing it a second time changes nothing outside; null: it does
    void (*restored)(HostCall& call, const RawValue* params) = nullptr;  // what its success did to the guest's own state beside its memory; done when a call that is
                                                                         // taken up is served it. Null: nothing
    bool waits = false;  // may take long on some of what it is called for; what has Effect::waits always may
    bool pure = false;  // looks at nothing but its arguments and the guest's own end: stands in no journal, runs again in a replay
};

/// One function that a guest can import: made by `fn` from a body and a row, constant data.
struct HostFunction {
    std::string_view name;
    HostFunctionRow row;
    std::span<const ValueType> params;
    std::span<const ValueType> results;
    HostStatus (*run)(HostCall& call, RawValue* values) noexcept;  // decodes, charges, calls the body, encodes

    bool may_wait() const noexcept { return row.effect == Effect::waits || row.waits; }
    FunctionType type() const { return {{params.begin(), params.end()}, {results.begin(), results.end()}}; }
};

/// Functions that are imported under one module name.
struct HostGroup {
    std::string_view module;
    std::span<const HostFunction> functions;
};

}  // namespace berth
