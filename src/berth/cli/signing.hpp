#pragma once

#include <filesystem>
#include <optional>

#include "berth/base/cid.hpp"
#include "berth/cli/verb.hpp"
#include "berth/crypto/ed25519.hpp"
#include "berth/runtime/receipt_writer.hpp"

namespace berth::cli {

/// Where the user's own key lies when none is named.
std::filesystem::path default_key_file(const Context& context);

/// Opens the key that --key or BERTH_KEY names, else the user's own, with the passphrase in BERTH_KEY_PASSPHRASE.
Result<SigningKey> open_signing_key(const Context& context);
/// That variable; empty when it is not set.
std::string key_passphrase();

/// receipt_of, signed and written as a block.
Result<void> write_receipt(const std::filesystem::path& file, const CallTrace& trace, const Outcome& outcome, std::optional<Cid> input, std::optional<Cid> output, const SigningKey& key);

}  // namespace berth::cli
