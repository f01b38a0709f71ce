#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace berth::cli {

/// Durations in nanoseconds, counted in log-linear buckets: each power of two has 64 of them, so that what is read is at most 1/64
/// above what was added. A fixed size, and nothing is allocated by adding. One thread.
class LatencyHistogram {
public:
    void add(std::uint64_t nanoseconds) noexcept {
        ++buckets_[bucket_of(nanoseconds)];
        ++count_;
        max_ = std::max(max_, nanoseconds);
    }
    void add(const LatencyHistogram& other) noexcept {
        for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
        count_ += other.count_;
        max_ = std::max(max_, other.max_);
    }
    std::uint64_t count() const noexcept { return count_; }
    std::uint64_t max() const noexcept { return max_; }
    /// The smallest bound that this share (0 to 1) of what was added does not pass; 0 when nothing was added.
    std::uint64_t percentile(double share) const noexcept {
        const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen >= wanted) return std::min(last_of(i), max_);
        }
        return max_;
    }

private:
    static constexpr unsigned bits = 6;  // 64 buckets a power of two
    static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        const auto shift = value >> bits == 0 ? 0U : static_cast<unsigned>(std::bit_width(value)) - bits - 1;
        return (std::size_t{shift} << bits) + static_cast<std::size_t>(value >> shift);
    }
    /// The largest value that falls into a bucket.
    static constexpr std::uint64_t last_of(std::size_t bucket) noexcept {
        if (bucket < std::size_t{2} << bits) return bucket;
        const auto shift = (bucket >> bits) - 1;
        const auto part = static_cast<std::uint64_t>(bucket - (shift << bits));
        return ((part + 1) << shift) - 1;
    }

    std::array<std::uint64_t, std::size_t{65 - bits} << bits> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace berth::cli
