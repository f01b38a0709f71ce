#pragma once

#include <cstddef>

#include "berth/base/bytes.hpp"

namespace berth {

/// Bytes that must not leak: in memory that is locked, guarded, left out of core dumps and cleared when it goes.
class SecretBytes {
public:
    explicit SecretBytes(std::size_t size);
    ~SecretBytes();
    SecretBytes(SecretBytes&& other) noexcept;
    SecretBytes& operator=(SecretBytes&& other) noexcept;

    std::size_t size() const noexcept { return size_; }
    MutableBytes bytes() noexcept { return {data_, size_}; }
    ByteView bytes() const noexcept { return {data_, size_}; }

private:
    std::uint8_t* data_;
    std::size_t size_;
};

/// Makes libsodium ready; called by everything that uses it, cheap when it is.
void ready_crypto() noexcept;

}  // namespace berth
