#include "berth/cli/signing.hpp"

#include <cstdlib>

#include "berth/crypto/key_file.hpp"

namespace berth::cli {

void add_key_flags(CommandLine& app, Context& context) {
    app.add_option("--key", context.key, "signing key (BERTH_KEY_PASSPHRASE)")->envname("BERTH_KEY")->type_name("F");
}

std::filesystem::path default_key_file(const Context& context) {
    return (context.state_dir.empty() ? Folders::find().state : std::filesystem::path(context.state_dir)) / "keys" / "default.key";
}

std::string key_passphrase() {
    const char* text = std::getenv("BERTH_KEY_PASSPHRASE");
    return text == nullptr ? "" : text;
}

Result<SigningKey> open_signing_key(const Context& context) {
    const auto file = context.key.empty() ? default_key_file(context) : std::filesystem::path(context.key);
    auto opened = KeyFile::open(file, as_bytes(key_passphrase()));
    if (!opened) {
        auto error = opened.error();
        if (error.code() == Code::file_not_found) error.set_fix("berth keygen makes one");
        if (error.code() == Code::integrity_failed) error.set_fix("put the passphrase of the key into BERTH_KEY_PASSPHRASE");
        return fail(std::move(error));
    }
    return std::move(opened->key);
}

Result<void> write_receipt(const std::filesystem::path& file, const CallTrace& trace, const Outcome& outcome, std::optional<Cid> input, std::optional<Cid> output, const SigningKey& key) {
    return write_file(file, SignedReceipt::sign(receipt_of(trace, outcome, input, output), key).block());
}

}  // namespace berth::cli
