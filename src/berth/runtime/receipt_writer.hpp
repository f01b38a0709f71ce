#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "berth/base/cid.hpp"
#include "berth/base/error.hpp"
#include "berth/crypto/ed25519.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/outcome.hpp"
#include "berth/runtime/receipt.hpp"

namespace berth {

/// The fields of a receipt that the call determines. The output of a call that is no command is in `outcome`.
Receipt receipt_of(const CallTrace& trace, const Outcome& outcome, std::optional<Cid> input, std::optional<Cid> output);

/// Writes a file whole, replacing one of the same name.
/// Whether write_file could begin there: cannot_create with the reason before a call is made whose receipt has no place.
Result<void> check_place(const std::filesystem::path& file);

Result<void> write_file(const std::filesystem::path& file, ByteView bytes);

/// Signs receipts of calls with one key and keeps them in one folder, each in a file `CALL.receipt`. Any thread.
class ReceiptWriter {
public:
    /// The folder exists.
    ReceiptWriter(SigningKey key, std::filesystem::path folder) : key_(std::move(key)), folder_(std::move(folder)) {}

    /// The content id of what was written.
    Result<std::string> write(const std::string& call, const CallTrace& trace, const Outcome& outcome, const Cid& input) const;

private:
    SigningKey key_;
    std::filesystem::path folder_;
};

}  // namespace berth
