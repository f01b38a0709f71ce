#include "berth/cli/signing.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>

#include "berth/base/format.hpp"
#include "berth/crypto/key_file.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/runtime/call_tape.hpp"

namespace berth::cli {

void add_key_flags(CLI::App& app, Context& context) {
    app.add_option("--key", context.key, "signing key; its passphrase in BERTH_KEY_PASSPHRASE")->envname("BERTH_KEY")->type_name("F");
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

Receipt receipt_of(const WasmProgram& program, const CallMode& mode, const Outcome& outcome, std::optional<Cid> input, std::optional<Cid> output) {
    const auto& world = program.world().table().world();
    Receipt receipt;
    receipt.world = world.name;
    receipt.module = Cid(Cid::Codec::raw, program.digest());
    receipt.policy = policy_digest(program.policy() != nullptr ? *program.policy() : Policy{}, world.missing);
    receipt.input = input;
    receipt.output = output;
    if (!output && !outcome.error) receipt.output = Cid::of(Cid::Codec::raw, as_bytes(outcome.output.bytes));
    if (mode.trace != nullptr) receipt.journal = mode.trace->root;
    receipt.fuel = outcome.usage.fuel;
    receipt.fuel_schedule = schedules_of(program);
    receipt.peak_memory = outcome.usage.peak_memory;
    receipt.exit_code = name(outcome.error ? outcome.error->code() : Code::ok);
    receipt.exit_status = outcome.error ? outcome.error->exit_status() : 0;
    receipt.deterministic = mode.deterministic;
    return receipt;
}

Result<void> write_file(const std::filesystem::path& file, ByteView bytes) {
    const auto part = file.string() + ".part";
    {
        std::ofstream stream(part, std::ios::binary | std::ios::trunc);
        stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        if (!stream.flush()) return fail(Code::cannot_create, format("{} cannot be written", file.string()));
    }
    std::error_code error;
    std::filesystem::rename(part, file, error);
    if (error) return fail(Code::cannot_create, format("{} cannot be written: {}", file.string(), error.message()));
    return {};
}

Result<void> write_receipt(const std::filesystem::path& file, const WasmProgram& program, const CallMode& mode, const Outcome& outcome, std::optional<Cid> input, std::optional<Cid> output,
                           const SigningKey& key) {
    return write_file(file, SignedReceipt::sign(receipt_of(program, mode, outcome, input, output), key).block());
}

}  // namespace berth::cli
