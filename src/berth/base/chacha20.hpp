#pragma once

#include <cstdint>

#include "berth/base/bytes.hpp"
#include "berth/base/hash.hpp"

namespace berth {

/// The key stream of ChaCha20 (RFC 8439) with an all-zero nonce and the block counter from zero, for reproducible
/// random numbers. One thread at a time. Ends the process after 2^38 bytes, where the counter would repeat.
class ChaCha20Stream {
public:
    explicit ChaCha20Stream(const Digest& key);
    ~ChaCha20Stream();
    ChaCha20Stream(const ChaCha20Stream&) = delete;
    ChaCha20Stream& operator=(const ChaCha20Stream&) = delete;

    void fill(MutableBytes out) noexcept;

private:
    void* context_;  // EVP_CIPHER_CTX
    std::uint64_t produced_ = 0;
};

}  // namespace berth
