#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/utf8.hpp"
#include "berth/host/gate.hpp"

namespace berth {

// Boundary types: the parameter types of host functions. Each is read from wasm values and checked against guest memory
// before any body runs, so a body never sees a raw guest pointer. Views are valid during the host call only.

/// Text in guest memory, strict UTF-8. Two values: pointer, length.
struct GuestText {
    std::string_view text;
    operator std::string_view() const noexcept { return text; }
};

/// Bytes in guest memory that the host reads. Two values: pointer, length.
struct GuestBytes {
    ByteView bytes;
};

/// Bytes in guest memory that the host fills. Two values: pointer, length. The body says with count_out how much it wrote.
struct GuestBuffer {
    MutableBytes bytes;
};

/// A place for one value. One value: pointer.
template <class T>
    requires std::is_trivially_copyable_v<T>
class GuestOut {
public:
    GuestOut() = default;
    explicit GuestOut(std::uint8_t* at) noexcept : at_(at) {}
    void set(const T& value) const noexcept { std::memcpy(at_, &value, sizeof(T)); }
    std::uint8_t* place() const noexcept { return at_; }

private:
    std::uint8_t* at_ = nullptr;
};

/// A value that the guest left in its memory. One value: pointer.
template <class T>
    requires std::is_trivially_copyable_v<T>
struct GuestIn {
    T value;
};

/// Scattered buffers: an array of (pointer, length) pairs. Two values: pointer to the array, its length. For writing
/// out of the guest (`count_in` has their total) and for reading into it.
struct GuestIovecs {
    static constexpr std::size_t inline_count = 8;
    static constexpr std::size_t max_count = 1024;

    std::span<const MutableBytes> parts() const noexcept { return large.empty() ? std::span<const MutableBytes>(small.data(), count) : std::span<const MutableBytes>(large); }
    std::uint64_t total() const noexcept { return total_bytes; }

    std::array<MutableBytes, inline_count> small;
    std::vector<MutableBytes> large;  // only when they are more than fit inline
    std::size_t count = 0;
    std::uint64_t total_bytes = 0;
};

/// The same array, for buffers that the guest hands out.
struct GuestOutgoing : GuestIovecs {};
/// The same array, for buffers that the host fills.
struct GuestIncoming : GuestIovecs {};

/// How a parameter type is read. A new kind of parameter is a specialisation with its own tests.
///
/// `write_argument` puts what the guest handed over into a journal, without addresses. A type that hands something back has
/// `write_outcome` and `restore` as well: what was stored after a call that did, and the same again in a replay. One that hands
/// back what a grant gave access to has `wipe`, for a call whose grant was taken away meanwhile; it depends on the arguments alone.
template <class T>
struct Boundary;

template <class T>
concept HandsBack = requires(JournalGet& in, HostCall& call, const T& argument) { Boundary<T>::restore(in, call, argument); };

template <class T>
concept Wipes = requires(const T& argument) { Boundary<T>::wipe(argument); };

template <class T, ValueType Type>
struct ScalarBoundary {
    static constexpr std::array types{Type};
    static ArgumentFault read(HostCall&, const RawValue* values, T& out) noexcept {
        std::memcpy(&out, values, sizeof(T));
        return ArgumentFault::none;
    }
    static void write_argument(JournalPut& out, const T& value) { out.plain(value); }
};
template <> struct Boundary<std::int32_t> : ScalarBoundary<std::int32_t, ValueType::i32> {};
template <> struct Boundary<std::uint32_t> : ScalarBoundary<std::uint32_t, ValueType::i32> {};
template <> struct Boundary<std::int64_t> : ScalarBoundary<std::int64_t, ValueType::i64> {};
template <> struct Boundary<std::uint64_t> : ScalarBoundary<std::uint64_t, ValueType::i64> {};
template <> struct Boundary<float> : ScalarBoundary<float, ValueType::f32> {};
template <> struct Boundary<double> : ScalarBoundary<double, ValueType::f64> {};

inline constexpr std::array pointer_and_length{ValueType::i32, ValueType::i32};

template <>
struct Boundary<GuestBytes> {
    static constexpr auto types = pointer_and_length;
    static ArgumentFault read(HostCall& call, const RawValue* values, GuestBytes& out) noexcept {
        if (values[1].u32 > call.max_argument()) return ArgumentFault::too_large;
        const auto range = call.memory().range(values[0].u32, values[1].u32);
        if (!range) return ArgumentFault::bounds;
        out.bytes = *range;
        call.count_in(values[1].u32);
        return ArgumentFault::none;
    }
    static void write_argument(JournalPut& out, const GuestBytes& value) { out.bytes(value.bytes); }
};

template <>
struct Boundary<GuestText> {
    static constexpr auto types = pointer_and_length;
    static ArgumentFault read(HostCall& call, const RawValue* values, GuestText& out) noexcept {
        GuestBytes raw;
        if (const auto fault = Boundary<GuestBytes>::read(call, values, raw); fault != ArgumentFault::none) return fault;
        if (!is_utf8(as_text(raw.bytes))) return ArgumentFault::encoding;
        out.text = as_text(raw.bytes);
        return ArgumentFault::none;
    }
    static void write_argument(JournalPut& out, const GuestText& value) { out.text(value.text); }
};

template <>
struct Boundary<GuestBuffer> {
    static constexpr auto types = pointer_and_length;
    static ArgumentFault read(HostCall& call, const RawValue* values, GuestBuffer& out) noexcept {
        if (values[1].u32 > call.max_argument()) return ArgumentFault::too_large;
        const auto range = call.memory().range(values[0].u32, values[1].u32);
        if (!range) return ArgumentFault::bounds;
        out.bytes = *range;
        return ArgumentFault::none;
    }
    static void write_argument(JournalPut& out, const GuestBuffer& value) { out.length(value.bytes.size()); }
    static void write_outcome(JournalPut& out, const HostCall& call, const GuestBuffer& value) {
        out.bytes(value.bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(call.bytes_out(), value.bytes.size()))));
    }
    static bool restore(JournalGet& in, HostCall& call, const GuestBuffer& value) noexcept {
        ByteView bytes;
        if (!in.bytes(bytes) || bytes.size() > value.bytes.size()) return false;
        if (!bytes.empty()) std::memcpy(value.bytes.data(), bytes.data(), bytes.size());
        call.count_out(bytes.size());
        return true;
    }
    static void wipe(const GuestBuffer& value) noexcept { std::fill(value.bytes.begin(), value.bytes.end(), std::uint8_t{0}); }
};

template <class T>
struct Boundary<GuestOut<T>> {
    static constexpr std::array types{ValueType::i32};
    static ArgumentFault read(HostCall& call, const RawValue* values, GuestOut<T>& out) noexcept {
        const auto range = call.memory().range(values[0].u32, sizeof(T));
        if (!range) return ArgumentFault::bounds;
        out = GuestOut<T>(range->data());
        return ArgumentFault::none;
    }
    static void write_argument(JournalPut&, const GuestOut<T>&) {}
    static void write_outcome(JournalPut& out, const HostCall&, const GuestOut<T>& value) { out.raw({value.place(), sizeof(T)}); }
    static bool restore(JournalGet& in, HostCall&, const GuestOut<T>& value) noexcept {
        ByteView bytes;
        if (!in.raw(sizeof(T), bytes)) return false;
        std::memcpy(value.place(), bytes.data(), sizeof(T));
        return true;
    }
    static void wipe(const GuestOut<T>& value) noexcept { std::memset(value.place(), 0, sizeof(T)); }
};

template <class T>
struct Boundary<GuestIn<T>> {
    static constexpr std::array types{ValueType::i32};
    static ArgumentFault read(HostCall& call, const RawValue* values, GuestIn<T>& out) noexcept {
        return call.memory().load(values[0].u32, out.value) ? ArgumentFault::none : ArgumentFault::bounds;
    }
    static void write_argument(JournalPut& out, const GuestIn<T>& value) { out.plain(value.value); }
};

/// Reads the array and checks every buffer; nothing is read twice, so the guest cannot change it in between.
ArgumentFault read_iovecs(HostCall& call, const RawValue* values, GuestIovecs& out) noexcept;

template <>
struct Boundary<GuestOutgoing> {
    static constexpr auto types = pointer_and_length;
    static ArgumentFault read(HostCall& call, const RawValue* values, GuestOutgoing& out) noexcept {
        const auto fault = read_iovecs(call, values, out);
        if (fault == ArgumentFault::none) call.count_in(out.total());
        return fault;
    }
    static void write_argument(JournalPut& out, const GuestOutgoing& value) {
        out.length(value.total());
        for (const auto& part : value.parts()) out.raw(part);
    }
};

template <>
struct Boundary<GuestIncoming> {
    static constexpr auto types = pointer_and_length;
    static ArgumentFault read(HostCall& call, const RawValue* values, GuestIncoming& out) noexcept { return read_iovecs(call, values, out); }
    static void write_argument(JournalPut& out, const GuestIncoming& value) { out.length(value.total()); }
    static void write_outcome(JournalPut& out, const HostCall& call, const GuestIncoming& value);
    static bool restore(JournalGet& in, HostCall& call, const GuestIncoming& value) noexcept;
    static void wipe(const GuestIncoming& value) noexcept {
        for (const auto& part : value.parts()) std::fill(part.begin(), part.end(), std::uint8_t{0});
    }
};

}  // namespace berth
