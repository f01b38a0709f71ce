#pragma once

#include <cstdint>
#include <string_view>

#include "berth/base/bytes.hpp"
#include "berth/base/chacha20.hpp"

namespace berth {

/// Where random bytes for guests come from. One thread at a time.
class RandomSource {
public:
    virtual ~RandomSource() = default;
    virtual void fill(MutableBytes out) = 0;
};

/// The operating system's generator. Safe from any thread.
class SystemRandom final : public RandomSource {
public:
    void fill(MutableBytes out) override;
};

/// A reproducible stream: ChaCha20 (RFC 8439) with nonce zero and the counter from zero, keyed with
/// SHA-256(`<world>-det-rng-1` ‖ seed as u64 little-endian ‖ stream). Consumers take its bytes in order.
class SeededRandom final : public RandomSource {
public:
    SeededRandom(std::string_view world, std::uint64_t seed, std::string_view stream = {});
    void fill(MutableBytes out) override;
    std::uint64_t next_u64();
    /// In [0, 1): the next u64 shifted right by 11, divided by 2^53.
    double next_double();

private:
    ChaCha20Stream stream_;
};

}  // namespace berth
