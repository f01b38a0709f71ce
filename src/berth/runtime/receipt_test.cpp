#include "berth/runtime/receipt.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "berth/capability/policy.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

/// The receipt of the vector in docs/formats/receipt.md.
Receipt vector_receipt() {
    Bytes module;
    EXPECT_TRUE(from_hex("0061736d01000000", module));
    Receipt receipt;
    receipt.world = "bare";
    receipt.module = Cid::of(Cid::Codec::raw, module);
    receipt.policy = policy_digest(Policy{}, Missing::refuse);
    receipt.input = Cid::of(Cid::Codec::raw, as_bytes("{}"));
    receipt.output = Cid::of(Cid::Codec::raw, as_bytes("null"));
    receipt.fuel_schedule = "berth-fuel-1";
    receipt.exit_code = "ok";
    receipt.deterministic = true;
    return receipt;
}

SigningKey seeded(std::uint8_t byte) { return SigningKey::from_seed(Bytes(32, byte)).value(); }

TEST(Receipt, TheVectorOfAliceIsWrittenByteForByte) {
    const auto made = SignedReceipt::sign(vector_receipt(), seeded(1));
    EXPECT_EQ(made.receipt.record().size(), 365u);
    EXPECT_EQ(to_hex(sha256(made.receipt.record())), "7b0bb1b35f2dd921d5de17ceba7cb9b190db0cde051912825118633c3e54793e");
    EXPECT_EQ(to_hex(made.signature), "c5ba8cf1606a5c764a073325dc41d10c11dc0d5e86eef773e390340260f144d3832e06a0b49038e5e6582d9baa05a90215d74e6099ef2ed643ad85cfac4d0704");
}

TEST(Receipt, TheVectorOfBobHasTheKeysOfAnotherWorld) {
    Receipt receipt;
    receipt.world = "icn";
    receipt.module = Cid::of(Cid::Codec::raw, as_bytes("manifest"));
    receipt.policy = policy_digest(Policy{}, Missing::refuse);
    receipt.input = Cid::parse("bafkreigvldjrhsz4s42wqtfmb35dvaepfhgvrypngblu3qlxent73o5pie").value();
    receipt.output = Cid::of(Cid::Codec::raw, as_bytes("Echo: hello"));
    receipt.fuel_schedule = "berth-fuel-1";
    receipt.exit_code = "ok";
    receipt.deterministic = true;
    receipt.more = {{"job_id", Cid::parse("bafyreibfhb6gvct7cz4y52rsyzdlfqosca6jx3qc6irjziktijiuw2dl3a").value()}, {"cpu_ms", 5}};
    const auto made = SignedReceipt::sign(receipt, seeded(2));
    EXPECT_EQ(made.receipt.record().size(), 420u);
    EXPECT_EQ(to_hex(sha256(made.receipt.record())), "67d529c9b0e967f9b8b81c6eae2e2e620a4ad8d47558b647468a99544730acaa");
    EXPECT_EQ(to_hex(made.signature), "d0cbcafee43d81952811588336bbfe0c1cf8a4fcd0b38cb592df8ea5f4f0ae0641be61aea45cf05c8e359010ed615039af5ef597c90fa6f3cf3800db9b1d2900");
    EXPECT_EQ(made.block().size(), 490u);
    EXPECT_EQ(made.cid().text(), "bafyreiedcbgpwxlknntsg4d2xrimilvdlhfp5jhz4imkl4elewktci22ee");
    EXPECT_EQ(SignedReceipt::open(made.block()).value().receipt, made.receipt);
}

TEST(Receipt, IsReadBackAsItWas) {
    auto receipt = vector_receipt();
    receipt.journal = sha256(as_bytes("root"));
    receipt.fuel = 71;
    receipt.exit_code = "exit_nonzero";
    receipt.exit_status = 3;
    const auto made = SignedReceipt::sign(receipt, SigningKey::generate());
    const auto opened = SignedReceipt::open(made.block());
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ(opened->receipt, made.receipt);
    EXPECT_EQ(opened->cid(), made.cid());
}

TEST(Receipt, EveryAlteredByteIsRefused) {
    const auto block = SignedReceipt::sign(vector_receipt(), seeded(1)).block();
    for (std::size_t at = 0; at < block.size(); ++at) {
        for (const std::uint8_t flip : {0x01, 0x20, 0x80}) {
            auto altered = block;
            altered[at] ^= flip;
            const auto opened = SignedReceipt::open(altered);
            ASSERT_FALSE(opened) << "byte " << at << " flipped by " << int{flip};
            EXPECT_TRUE(opened.error().code() == Code::receipt_invalid || opened.error().code() == Code::version_unsupported) << at;
        }
    }
    for (std::size_t size = 0; size < block.size(); ++size) EXPECT_FALSE(SignedReceipt::open(ByteView(block).first(size))) << size;
    auto longer = block;
    longer.push_back(0);
    EXPECT_FALSE(SignedReceipt::open(longer));
}

TEST(Receipt, SomebodyElsesSignatureIsNone) {
    auto made = SignedReceipt::sign(vector_receipt(), seeded(1));
    made.receipt.executor = SignedReceipt::sign(vector_receipt(), seeded(2)).receipt.executor;
    EXPECT_EQ(SignedReceipt::open(made.block()).error().code(), Code::receipt_invalid);
}

TEST(Receipt, TheGoldenFileIsReadAndNothingThatIsCutFromIt) {
    const auto file = testing::source_dir() / "tests/golden/formats/receipt-1";
    std::ifstream stream(file, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    const auto bytes = as_bytes(text);
    const auto opened = SignedReceipt::open(bytes);
    ASSERT_TRUE(opened) << file;
    EXPECT_EQ(opened->receipt.world, "bare");
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        Bytes cut(bytes.begin(), bytes.end());
        cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(at));
        EXPECT_FALSE(SignedReceipt::open(cut)) << at;
    }
}

TEST(Receipt, DifferencesAreNamed) {
    auto other = vector_receipt();
    EXPECT_TRUE(receipt_differences(vector_receipt(), other).empty());
    other.fuel = 1;
    other.policy.reset();
    other.executor = "did:key:z6Mk";
    EXPECT_EQ(receipt_differences(vector_receipt(), other), (std::vector<std::string>{"policy", "fuel"}));
}

}  // namespace
}  // namespace berth
