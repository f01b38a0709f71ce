#include "berth/host/providers/random_source.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

std::string first_bytes(RandomSource& source, std::size_t count) {
    Bytes bytes(count);
    source.fill(bytes);
    return to_hex(bytes);
}

TEST(SeededRandom, KnownStreams) {
    SeededRandom glyph("glyph", 0);
    EXPECT_EQ(first_bytes(glyph, 16), "c491bdcc3d06597b11b6192716f1fcf7");
    SeededRandom glyph_float("glyph", 0);
    EXPECT_DOUBLE_EQ(glyph_float.next_double(), 0.4818271542433108);
    SeededRandom vudo("vudo", 42);
    EXPECT_EQ(first_bytes(vudo, 12), "2953a56cc41c33220a052d84");
    SeededRandom floats("vudo", 42);
    EXPECT_DOUBLE_EQ(floats.next_double(), 0.1335924129058601);
    EXPECT_DOUBLE_EQ(floats.next_double(), 0.09985146264459743);
    SeededRandom named("vudo", 42, "a");
    EXPECT_EQ(named.next_u64(), 0x8d80600b49175a6eu);
}

TEST(SeededRandom, BytesInPartsAreTheSameStream) {
    SeededRandom whole("wasi", 1);
    SeededRandom parts("wasi", 1);
    const auto expected = first_bytes(whole, 100);
    std::string joined;
    for (const std::size_t count : {1u, 63u, 36u}) joined += first_bytes(parts, count);
    EXPECT_EQ(joined, expected);
}

TEST(SystemRandom, Differs) {
    SystemRandom source;
    EXPECT_NE(first_bytes(source, 32), first_bytes(source, 32));
}

}  // namespace
}  // namespace berth
