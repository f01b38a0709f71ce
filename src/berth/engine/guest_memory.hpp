#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "berth/base/bytes.hpp"

namespace berth {

/// A look at a guest's linear memory. Pointers and lengths are unsigned 32-bit as the guest gave them; ranges are
/// checked in 64 bits against the size at the time of the look.
///
/// Taken anew for each host call: it does not survive a suspension, a growth or a call into the guest. Pages may be
/// write-protected until first written (restored instances): writes of this process open them, but the kernel
/// refuses to write to them, so `read` and `recv` go through a host buffer.
class GuestMemory {
public:
    GuestMemory() = default;
    GuestMemory(std::uint8_t* base, std::uint64_t size) noexcept : base_(base), size_(size) {}

    std::uint8_t* base() const noexcept { return base_; }
    std::uint64_t size() const noexcept { return size_; }

    bool contains(std::uint32_t pointer, std::uint64_t length) const noexcept { return std::uint64_t{pointer} + length <= size_ && length <= size_; }

    /// The bytes at `pointer`, or nothing when they are not all inside.
    std::optional<MutableBytes> range(std::uint32_t pointer, std::uint64_t length) const noexcept {
        if (!contains(pointer, length)) return std::nullopt;
        return MutableBytes(base_ + pointer, static_cast<std::size_t>(length));
    }

    /// A number in little-endian order; no alignment is asked for. False when it is not all inside.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    bool load(std::uint32_t pointer, T& value) const noexcept {
        if (!contains(pointer, sizeof(T))) return false;
        std::memcpy(&value, base_ + pointer, sizeof(T));
        return true;
    }
    template <class T>
        requires std::is_trivially_copyable_v<T>
    bool store(std::uint32_t pointer, const T& value) const noexcept {
        if (!contains(pointer, sizeof(T))) return false;
        std::memcpy(base_ + pointer, &value, sizeof(T));
        return true;
    }

private:
    std::uint8_t* base_ = nullptr;
    std::uint64_t size_ = 0;
};

}  // namespace berth
