#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/base/hash.hpp"

namespace berth {

/// A module and the signature beside it, as policies ask for them.
struct SignedModule {
    std::optional<Digest> digest;     // of its bytes; absent: there is no module
    std::string signer;               // DID of the signature in `FILE.sig`; empty: there is none that holds
    std::string problem;              // why there is none

    static SignedModule read(const std::filesystem::path& file, ByteView bytes);
};

/// Whether a signer that the store names vouches for a module of this name (docs/formats/trust.md). Fails with
/// signature_invalid when none does, with config_error when the store is none.
Result<void> check_trust(const std::filesystem::path& store, std::string_view name, const SignedModule& module, WallTime now);
/// Whether the store can be read, whatever it says about modules.
Result<void> check_trust_store(const std::filesystem::path& store);
/// The same as check_trust on the text of a store.
Result<void> check_trust_text(std::string_view text, std::string_view name, const SignedModule& module, WallTime now);

}  // namespace berth
