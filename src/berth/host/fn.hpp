#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "berth/host/boundary.hpp"
#include "berth/host/host_function.hpp"

namespace berth {

/// A string that can be a template argument.
template <std::size_t N>
struct FixedName {
    char text[N]{};
    constexpr FixedName(const char (&source)[N]) { std::copy_n(source, N, text); }
    constexpr std::string_view view() const noexcept { return {text, N - 1}; }
};

namespace detail {

template <FixedName Name>
inline constexpr auto stored_name = Name;  // static storage for the name

template <class T>
struct Unwrapped { using type = T; };
template <class T>
struct Unwrapped<Result<T>> { using type = T; };

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

template <class T>
consteval auto result_types() {
    if constexpr (std::is_void_v<T> || std::is_same_v<T, HostStatus>) {
        return std::array<ValueType, 0>{};
    } else if constexpr (std::is_enum_v<T>) {
        return std::array{ValueType::i32};
    } else {
        return Boundary<T>::types;
    }
}

template <class... Arguments>
consteval auto joined_types() {
    constexpr std::size_t total = (Boundary<Arguments>::types.size() + ... + 0);
    std::array<ValueType, total> all{};
    [[maybe_unused]] std::size_t at = 0;
    ((std::copy(Boundary<Arguments>::types.begin(), Boundary<Arguments>::types.end(), all.begin() + static_cast<std::ptrdiff_t>(at)),
      at += Boundary<Arguments>::types.size()),
     ...);
    return all;
}

template <auto Body>
struct Thunk;

template <class Return, class CallType, class... Arguments, Return (*Body)(CallType, Arguments...)>
struct Thunk<Body> {
    using Value = typename Unwrapped<Return>::type;
    using ArgumentTuple = std::tuple<std::remove_cvref_t<Arguments>...>;
    static constexpr auto params = joined_types<std::remove_cvref_t<Arguments>...>();
    static constexpr auto results = result_types<Value>();
    static constexpr std::size_t argument_count = sizeof...(Arguments);

    static HostStatus run(HostCall& call, RawValue* values) noexcept {
        ArgumentTuple arguments;
        const RawValue* at = values;
        ArgumentFault fault = ArgumentFault::none;
        const auto read = [&]<class T>(T& argument) {
            if (fault == ArgumentFault::none) fault = Boundary<T>::read(call, at, argument);
            at += Boundary<T>::types.size();
        };
        std::apply([&](auto&... each) { (read(each), ...); }, arguments);
        if (!call.charge_before()) return call.out_of_fuel();
        if (fault != ArgumentFault::none) return call.lower(fault, values);
        const bool journaled = call.journal() != nullptr && !call.function().row.pure;
        const auto status = journaled ? through_journal(call, values, arguments) : perform_granted(call, values, arguments);
        if (status != HostStatus::proceed) return status;
        if (!call.charge_after()) return call.out_of_fuel();
        if (journaled) [[unlikely]] return call.told(call.journal()->seen(call.function()));
        return HostStatus::proceed;
    }

private:
    /// As `perform`; what it came to is replaced by the denial when a grant that it used was taken away meanwhile.
    static HostStatus perform_granted(HostCall& call, RawValue* values, ArgumentTuple& arguments) {
        const auto status = perform(call, values, arguments);
        if (!call.was_revoked()) [[likely]] return status;
        std::apply([](const auto&... each) { (wipe(each), ...); }, arguments);
        return call.lower_revoked(values);
    }

    static HostStatus perform(HostCall& call, RawValue* values, ArgumentTuple& arguments) {
        std::remove_cvref_t<CallType> view(call);
        const auto body = [&]() -> Return {
            return std::apply([&](auto&... each) { return Body(view, each...); }, arguments);
        };
        if constexpr (std::is_void_v<Return>) {
            body();
        } else {
            auto result = body();
            if constexpr (is_result<Return>) {
                if (!result) return call.lower(result.error(), values);
                if constexpr (std::is_same_v<Value, HostStatus>) {
                    if (*result != HostStatus::proceed) return *result;
                } else if constexpr (!std::is_void_v<Value>) {
                    put(values, *result);
                }
            } else if constexpr (std::is_same_v<Return, HostStatus>) {
                if (result != HostStatus::proceed) return result;
            } else {
                put(values, result);
            }
        }
        return HostStatus::proceed;
    }

    /// Records the call, or serves what was recorded of it.
    static HostStatus through_journal(HostCall& call, RawValue* values, ArgumentTuple& arguments) {
        Bytes written;
        JournalPut put_arguments(written);
        std::apply([&](const auto&... each) { (Boundary<std::remove_cvref_t<decltype(each)>>::write_argument(put_arguments, each), ...); }, arguments);
        ByteView outcome;
        HostStatus status = HostStatus::proceed;
        switch (call.journal()->before(call.qualified_name(), call.function(), written, outcome)) {
            case HostJournal::Next::failed: return call.trap(call.journal()->failure());
            case HostJournal::Next::served: return serve(call, values, arguments, outcome);
            case HostJournal::Next::unknown:
                if (call.journal()->recovers() && call.function().row.repeats != nullptr && call.function().row.repeats(call, values)) {
                    status = perform_granted(call, values, arguments);
                    break;
                }
                status = call.lower(Error(Code::unknown_outcome, "the host stopped while this was under way; whether it happened is not known"), values);
                break;
            case HostJournal::Next::execute: status = perform_granted(call, values, arguments); break;
        }
        // A body may end the call and still have to return something of its type.
        if (call.failure() != nullptr) status = HostStatus::trap;
        written.clear();
        JournalPut out(written);
        if (status == HostStatus::proceed) {
            const bool revoked = call.is_replaced();
            out.plain(revoked ? OutcomeKind::revoked : OutcomeKind::answered);
            call.write_results(out, values);
            if (revoked) {
                // Nothing was stored; the replay clears the same places.
            } else if (results.empty() || call.stores_outputs(values[0])) {
                std::apply([&](const auto&... each) { (write_outcome(out, call, each), ...); }, arguments);
            }
        } else {
            call.write_end(out);
        }
        return call.told(call.journal()->after(call.function(), written), status);
    }

    static HostStatus serve(HostCall& call, RawValue* values, ArgumentTuple& arguments, ByteView outcome) {
        JournalGet in(outcome);
        OutcomeKind kind{};
        std::array<RawValue, std::max<std::size_t>(1, params.size())> given{};
        std::copy_n(values, params.size(), given.begin());
        if (!in.plain(kind)) return call.unreadable();
        if (kind != OutcomeKind::answered && kind != OutcomeKind::revoked) return call.restore_end(in);
        if (!call.restore_results(in, values)) return call.unreadable();
        if (kind == OutcomeKind::revoked) {
            std::apply([](const auto&... each) { (wipe(each), ...); }, arguments);
        } else if (results.empty() || call.stores_outputs(values[0])) {
            bool whole = true;
            std::apply([&](const auto&... each) { ((whole = whole && restore(in, call, each)), ...); }, arguments);
            if (!whole) return call.unreadable();
            if (call.journal()->recovers() && call.function().row.restored != nullptr) call.function().row.restored(call, given.data());
        }
        if (!in.at_end()) return call.unreadable();
        std::apply([&](const auto&... each) { (replay_output(call, each), ...); }, arguments);
        return HostStatus::proceed;
    }

    template <class T>
    static void write_outcome(JournalPut& out, const HostCall& call, const T& argument) {
        if constexpr (HandsBack<T>) Boundary<T>::write_outcome(out, call, argument);
    }
    template <class T>
    static bool restore(JournalGet& in, HostCall& call, const T& argument) {
        if constexpr (HandsBack<T>) return Boundary<T>::restore(in, call, argument);
        return true;
    }
    template <class T>
    static void wipe(const T& argument) noexcept {
        if constexpr (Wipes<T>) Boundary<T>::wipe(argument);
    }
    template <class T>
    static void replay_output(HostCall& call, const T& argument) {
        if constexpr (std::is_same_v<T, GuestOutgoing>) {
            for (const auto& part : argument.parts()) call.journal()->output(part);
        }
    }

    template <class T>
    static void put(RawValue* values, const T& value) noexcept {
        if constexpr (std::is_enum_v<T>) {
            values[0] = RawValue::of(static_cast<std::int32_t>(value));
        } else {
            values[0] = RawValue::of(value);
        }
    }
};

}  // namespace detail

/// Declares a host function from its body: the C++ signature gives the wasm signature, the row everything else.
/// The body is `R body(WorldCall<State>& call, boundary types…)`; R is void, a scalar, an enumeration, HostStatus or a Result of one.
template <FixedName Name, auto Body>
consteval HostFunction fn(const HostFunctionRow& row) {
    constexpr auto& name_storage = detail::stored_name<Name>;
    return HostFunction{name_storage.view(), row, detail::Thunk<Body>::params, detail::Thunk<Body>::results, &detail::Thunk<Body>::run};
}

}  // namespace berth
