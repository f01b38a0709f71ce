#include "berth/host/providers/random_source.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "berth/base/error.hpp"

namespace berth {

void SystemRandom::fill(MutableBytes out) {
    while (!out.empty()) {
        const auto got = getrandom(out.data(), out.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        BERTH_ASSERT(got > 0);  // the kernel's generator does not fail once it is seeded
        out = out.subspan(static_cast<std::size_t>(got));
    }
}

namespace {

Digest stream_key(std::string_view world, std::uint64_t seed, std::string_view stream) {
    std::array<std::uint8_t, 8> little{};
    for (std::size_t i = 0; i < 8; ++i) little[i] = static_cast<std::uint8_t>(seed >> (8 * i));
    Sha256 hash;
    hash.update(as_bytes(world)).update(as_bytes("-det-rng-1")).update(little).update(as_bytes(stream));
    return hash.finish();
}

}  // namespace

SeededRandom::SeededRandom(std::string_view world, std::uint64_t seed, std::string_view stream) : stream_(stream_key(world, seed, stream)) {}

void SeededRandom::fill(MutableBytes out) { stream_.fill(out); }

std::uint64_t SeededRandom::next_u64() {
    std::array<std::uint8_t, 8> bytes{};
    fill(bytes);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), 8);
    return value;
}

double SeededRandom::next_double() { return static_cast<double>(next_u64() >> 11) / 9007199254740992.0; }

}  // namespace berth
