#include "berth/base/cbor.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

Bytes hex(std::string_view text) {
    Bytes bytes;
    EXPECT_TRUE(from_hex(text, bytes));
    return bytes;
}

TEST(Cbor, EncodesInTheOneCanonicalForm) {
    const Cbor value(Cbor::Map{{"bb", Cbor(1)}, {"a", Cbor(Cbor::Array{Cbor(true), Cbor(), Cbor(-1), Cbor(std::uint64_t{1000})})}, {"c", Cbor(Bytes{1, 2})}, {"d", Cbor(1.5)}});
    EXPECT_EQ(to_hex(value.encode()), "a4616184f5f6201903e86163420102" "6164fb3ff8000000000000" "62626201");
}

TEST(Cbor, RoundTripsEveryKind) {
    const Cbor value(Cbor::Map{{"link", Cbor(Cid::of(Cid::Codec::raw, as_bytes("x")))}, {"n", Cbor(INT64_MIN)}, {"t", Cbor("\xC3\xA9")}, {"u", Cbor(~std::uint64_t{0})}});
    const auto bytes = value.encode();
    const auto back = Cbor::decode(bytes);
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(back->encode(), bytes);
    std::int64_t number = 0;
    ASSERT_TRUE(back->find("n")->signed_number(number));
    EXPECT_EQ(number, INT64_MIN);
    EXPECT_EQ(*back->find("t")->text(), "\xC3\xA9");
}

TEST(Cbor, RefusesEveryOtherForm) {
    for (const auto* bad : {"", "18", "1801", "190001", "1a00000001", "5f4101ff", "9f01ff", "bf616101ff", "a2616201616102", "a2616101616102", "a10102", "f7", "f97e00",
                            "fb7ff8000000000000", "fb7ff0000000000000", "c001", "d82a4101", "62c328", "0000", "9b00000000ffffffff", "5bffffffffffffffff", "f820"}) {
        EXPECT_FALSE(Cbor::decode(hex(bad))) << bad;
    }
}

TEST(Cbor, DeepNestingIsAnErrorNotACrash) {
    Bytes deep(1'000'000, 0x81);
    EXPECT_FALSE(Cbor::decode(deep));
}

TEST(Cbor, CutAnywhereIsAnError) {
    const auto bytes = Cbor(Cbor::Map{{"a", Cbor(Cbor::Array{Cbor("text"), Cbor(70'000), Cbor(2.5)})}}).encode();
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(Cbor::decode(ByteView(bytes).first(cut))) << cut;
}

TEST(Cid, TextAndBytesRoundTrip) {
    const auto cid = Cid::of(Cid::Codec::raw, as_bytes("hello world"));
    EXPECT_EQ(cid.text(), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
    EXPECT_EQ(Cid::parse(cid.text()).value(), cid);
    EXPECT_EQ(Cid::from_bytes(cid.bytes()).value(), cid);
    EXPECT_FALSE(Cid::parse("bafkre"));
    EXPECT_FALSE(Cid::parse("Bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"));
}

// The effective policy record when nothing is granted: {v, grants, limits, missing, on_memory_limit, deterministic}.
TEST(Cid, EmptyPolicyRecordHasItsKnownDigest) {
    const Cbor record(Cbor::Map{{"v", Cbor(1)}, {"grants", Cbor(Cbor::Map{})}, {"limits", Cbor(Cbor::Map{})}, {"missing", Cbor("refuse")},
                                {"on_memory_limit", Cbor("fail")}, {"deterministic", Cbor(false)}});
    const auto bytes = record.encode();
    EXPECT_EQ(bytes.size(), 71u);
    EXPECT_EQ(Cid::of(Cid::Codec::dag_cbor, bytes).text(), "bafyreibbzqbxkowiz3plfrujnfcadkl54towdkcz46zglrdsal4loxzooi");
}

}  // namespace
}  // namespace berth
