#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/cbor.hpp"
#include "berth/base/cid.hpp"
#include "berth/base/error.hpp"
#include "berth/base/hash.hpp"
#include "berth/crypto/ed25519.hpp"

namespace berth {

/// What one call did, signed by whoever ran it (docs/formats/receipt.md). A plain value.
struct Receipt {
    std::string world;
    std::string executor;              // DID of the signer
    std::optional<Cid> module;         // of the module's bytes
    std::optional<Cid> policy;         // of the effective policy record
    std::optional<Cid> input;
    std::optional<Cid> output;
    std::optional<Digest> journal;     // root of the journal
    std::uint64_t fuel = 0;
    std::string fuel_schedule;
    std::uint64_t peak_memory = 0;     // bytes
    std::string exit_code;             // `ok` or the code of the error
    std::int64_t exit_status = 0;
    bool deterministic = false;
    std::vector<std::pair<std::string, Cbor>> more;  // what a world adds

    friend bool operator==(const Receipt& a, const Receipt& b) { return a.record() == b.record(); }

    /// The record without its signature: what is signed.
    Bytes record() const;
};

inline constexpr std::string_view receipt_tag = "berth/receipt/v1";

/// A receipt with its signature: the dag-cbor block that a receipt is named by and kept as.
struct SignedReceipt {
    Receipt receipt;
    Ed25519Signature signature{};

    Bytes block() const;
    Cid cid() const { return Cid::of(Cid::Codec::dag_cbor, block()); }

    /// Fills in the executor.
    static SignedReceipt sign(Receipt receipt, const SigningKey& key);
    /// Reads a block and checks its encoding and its signature. Any altered byte fails with receipt_invalid.
    static Result<SignedReceipt> open(ByteView block);
};

/// The names of the fields in which two receipts differ; signer and signature are no fields of what happened.
std::vector<std::string> receipt_differences(const Receipt& a, const Receipt& b);

}  // namespace berth
