#include "berth/base/chacha20.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "berth/base/error.hpp"

namespace berth {

ChaCha20Stream::ChaCha20Stream(const Digest& key) : context_(EVP_CIPHER_CTX_new()) {
    BERTH_ASSERT(context_ != nullptr);
    const std::array<std::uint8_t, 16> counter_and_nonce{};
    BERTH_ASSERT(EVP_EncryptInit_ex(static_cast<EVP_CIPHER_CTX*>(context_), EVP_chacha20(), nullptr, key.data(), counter_and_nonce.data()) == 1);
}

ChaCha20Stream::~ChaCha20Stream() { EVP_CIPHER_CTX_free(static_cast<EVP_CIPHER_CTX*>(context_)); }

void ChaCha20Stream::fill(MutableBytes out) noexcept {
    produced_ += out.size();
    BERTH_ASSERT(produced_ <= std::uint64_t{1} << 38);
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    while (!out.empty()) {
        const auto part = out.first(std::min<std::size_t>(out.size(), 1 << 30));
        int written = 0;
        BERTH_ASSERT(EVP_EncryptUpdate(static_cast<EVP_CIPHER_CTX*>(context_), part.data(), &written, part.data(), static_cast<int>(part.size())) == 1);
        out = out.subspan(part.size());
    }
}

}  // namespace berth
