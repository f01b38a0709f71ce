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
    static constexpr auto params = joined_types<std::remove_cvref_t<Arguments>...>();
    static constexpr auto results = result_types<Value>();
    static constexpr std::size_t argument_count = sizeof...(Arguments);

    static HostStatus run(HostCall& call, RawValue* values) noexcept {
        std::tuple<std::remove_cvref_t<Arguments>...> arguments;
        const RawValue* at = values;
        ArgumentFault fault = ArgumentFault::none;
        const auto read = [&]<class T>(T& argument) {
            if (fault == ArgumentFault::none) fault = Boundary<T>::read(call, at, argument);
            at += Boundary<T>::types.size();
        };
        std::apply([&](auto&... each) { (read(each), ...); }, arguments);
        if (!call.charge_before()) return call.out_of_fuel();
        if (fault != ArgumentFault::none) return call.lower(fault, values);

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
        return call.charge_after() ? HostStatus::proceed : call.out_of_fuel();
    }

private:
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
