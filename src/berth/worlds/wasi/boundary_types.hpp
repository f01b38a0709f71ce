#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "berth/host/boundary.hpp"
#include "berth/worlds/wasi/abi.hpp"

namespace berth::worlds::wasi {

/// Where args_get and environ_get put their strings: an array of pointers and one buffer. Two values: pointer to the
/// array, pointer to the buffer; how large both are depends on the strings, so they are checked when storing.
class StringListOut {
public:
    StringListOut() = default;
    StringListOut(GuestMemory memory, std::uint32_t pointers, std::uint32_t buffer) noexcept : memory_(memory), pointers_(pointers), buffer_(buffer) {}

    static std::uint64_t buffer_size(const std::vector<std::string>& strings) noexcept {
        std::uint64_t size = 0;
        for (const auto& text : strings) size += text.size() + 1;
        return size;
    }

    /// The strings that a call with so many bytes stored.
    std::vector<std::string> stored(std::uint64_t size) const {
        std::vector<std::string> strings;
        const auto range = memory_.range(buffer_, size);
        if (!range) return strings;
        auto text = as_text(*range);
        while (!text.empty()) {
            const auto end = text.find('\0');
            strings.emplace_back(text.substr(0, end));
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        }
        return strings;
    }

    /// False, with nothing written, when they do not fit the memory.
    bool store(const std::vector<std::string>& strings) const noexcept {
        if (!memory_.contains(pointers_, std::uint64_t{4} * strings.size()) || !memory_.contains(buffer_, buffer_size(strings))) return false;
        std::uint32_t at = buffer_;
        std::uint32_t slot = pointers_;
        for (const auto& text : strings) {
            memory_.store(slot, at);
            std::memcpy(memory_.base() + at, text.c_str(), text.size() + 1);
            at += static_cast<std::uint32_t>(text.size() + 1);
            slot += 4;
        }
        return true;
    }

private:
    GuestMemory memory_;
    std::uint32_t pointers_ = 0;
    std::uint32_t buffer_ = 0;
};

/// Subscriptions in, events out, of the same number. Three values: both pointers and the number. Events are written by
/// index and the subscriptions are copied out first, because the two arrays may overlap.
class PollArrays {
public:
    PollArrays() = default;
    PollArrays(GuestMemory memory, std::uint32_t events, std::vector<Subscription> subscriptions) noexcept
        : subscriptions_(std::move(subscriptions)), memory_(memory), events_(events) {}

    const std::vector<Subscription>& subscriptions() const noexcept { return subscriptions_; }
    /// In order: the index is the number of those set before.
    void set_event(std::uint32_t index, const Event& event) const noexcept {
        memory_.store(events_ + index * static_cast<std::uint32_t>(sizeof(Event)), event);
        stored_ = index + 1;
    }
    ByteView stored() const noexcept {
        const auto range = memory_.range(events_, stored_ * sizeof(Event));
        return range ? ByteView(*range) : ByteView();
    }

private:
    mutable std::uint32_t stored_ = 0;
    std::vector<Subscription> subscriptions_;
    GuestMemory memory_;
    std::uint32_t events_ = 0;
};

inline constexpr std::uint32_t max_subscriptions = 4'096;

}  // namespace berth::worlds::wasi

namespace berth {

template <>
struct Boundary<worlds::wasi::StringListOut> {
    static constexpr std::array types{ValueType::i32, ValueType::i32};
    static ArgumentFault read(HostCall& call, const RawValue* values, worlds::wasi::StringListOut& out) noexcept {
        out = worlds::wasi::StringListOut(call.memory(), values[0].u32, values[1].u32);
        return ArgumentFault::none;
    }
    static void write_argument(JournalPut&, const worlds::wasi::StringListOut&) {}
    static void write_outcome(JournalPut& out, const HostCall& call, const worlds::wasi::StringListOut& value) {
        const auto strings = value.stored(call.bytes_out());
        out.length(strings.size());
        for (const auto& text : strings) out.text(text);
    }
    static bool restore(JournalGet& in, HostCall& call, const worlds::wasi::StringListOut& value) noexcept {
        std::uint64_t count = 0;
        if (!in.length(count) || count > in.rest().size()) return false;
        std::vector<std::string> strings;
        for (std::uint64_t i = 0; i < count; ++i) {
            std::string_view text;
            if (!in.text(text)) return false;
            strings.emplace_back(text);
        }
        if (!value.store(strings)) return false;
        call.count_out(worlds::wasi::StringListOut::buffer_size(strings));
        return true;
    }
};

template <>
struct Boundary<worlds::wasi::PollArrays> {
    static constexpr std::array types{ValueType::i32, ValueType::i32, ValueType::i32};
    static ArgumentFault read(HostCall& call, const RawValue* values, worlds::wasi::PollArrays& out) noexcept {
        using namespace worlds::wasi;
        const auto memory = call.memory();
        const std::uint64_t count = values[2].u32;
        if (!memory.contains(values[0].u32, count * sizeof(Subscription)) || !memory.contains(values[1].u32, count * sizeof(Event))) return ArgumentFault::bounds;
        if (count > max_subscriptions) return ArgumentFault::too_large;
        std::vector<Subscription> subscriptions(count);
        if (count != 0) std::memcpy(subscriptions.data(), memory.base() + values[0].u32, count * sizeof(Subscription));
        out = PollArrays(memory, values[1].u32, std::move(subscriptions));
        return ArgumentFault::none;
    }
    static void write_argument(JournalPut& out, const worlds::wasi::PollArrays& value) {
        out.length(value.subscriptions().size());
        for (const auto& subscription : value.subscriptions()) out.plain(subscription);
    }
    static void write_outcome(JournalPut& out, const HostCall&, const worlds::wasi::PollArrays& value) { out.bytes(value.stored()); }
    static bool restore(JournalGet& in, HostCall&, const worlds::wasi::PollArrays& value) noexcept {
        using namespace worlds::wasi;
        ByteView bytes;
        if (!in.bytes(bytes) || bytes.size() % sizeof(Event) != 0 || bytes.size() / sizeof(Event) > value.subscriptions().size()) return false;
        for (std::uint32_t i = 0; i * sizeof(Event) < bytes.size(); ++i) {
            Event event{};
            std::memcpy(&event, bytes.data() + i * sizeof(Event), sizeof(Event));
            value.set_event(i, event);
        }
        return true;
    }
};

}  // namespace berth
