#include "berth/crypto/secret_bytes.hpp"

#include <sodium.h>

#include <utility>

#include "berth/base/error.hpp"

namespace berth {

void ready_crypto() noexcept {
    static const int ready = sodium_init();
    BERTH_ASSERT(ready >= 0);
}

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
    ready_crypto();
    data_ = static_cast<std::uint8_t*>(sodium_malloc(size == 0 ? 1 : size));
    BERTH_ASSERT(data_ != nullptr);
    sodium_memzero(data_, size_);
}

SecretBytes::~SecretBytes() { sodium_free(data_); }

SecretBytes::SecretBytes(SecretBytes&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

}  // namespace berth
