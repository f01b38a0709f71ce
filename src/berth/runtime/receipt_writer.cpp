#include "berth/runtime/receipt_writer.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "berth/base/format.hpp"

namespace berth {

Receipt receipt_of(const CallTrace& trace, const Outcome& outcome, std::optional<Cid> input, std::optional<Cid> output) {
    Receipt receipt;
    receipt.world = trace.world;
    if (trace.module) receipt.module = Cid(Cid::Codec::raw, *trace.module);
    receipt.policy = trace.policy;
    receipt.input = input;
    receipt.output = output;
    if (!output && !outcome.error) receipt.output = Cid::of(Cid::Codec::raw, as_bytes(outcome.output.text()));
    receipt.journal = trace.root;
    receipt.fuel = outcome.usage.fuel;
    receipt.fuel_schedule = trace.schedule;
    receipt.peak_memory = outcome.usage.peak_memory;
    receipt.exit_code = name(outcome.error ? outcome.error->code() : Code::ok);
    receipt.exit_status = outcome.error ? outcome.error->exit_status() : 0;
    receipt.deterministic = trace.deterministic;
    return receipt;
}

Result<void> check_place(const std::filesystem::path& file) {
    std::error_code error;
    if (std::filesystem::is_directory(file, error)) return fail(Code::cannot_create, format("{} cannot be written: it is a directory", file.string()));
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    if (!std::filesystem::is_directory(folder, error)) return fail(Code::cannot_create, format("{} cannot be written: there is no folder {}", file.string(), folder.string()));
    if (::access(folder.c_str(), W_OK | X_OK) != 0) return fail(Code::cannot_create, format("{} cannot be written: {}", file.string(), std::strerror(errno)));
    return {};
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

Result<std::string> ReceiptWriter::write(const std::string& call, const CallTrace& trace, const Outcome& outcome, const Cid& input) const {
    // A command has written what it wrote, whether it failed afterwards or not.
    const auto output = trace.is_command ? std::optional(Cid::of(Cid::Codec::raw, as_bytes(outcome.output.text()))) : std::nullopt;
    const auto receipt = SignedReceipt::sign(receipt_of(trace, outcome, input, output), key_);
    BERTH_TRYV(write_file(folder_ / (call + ".receipt"), receipt.block()));
    return receipt.cid().text();
}

}  // namespace berth
