#include <chrono>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/signing.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/crypto/did_key.hpp"
#include "berth/crypto/key_file.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::string file;
    std::string label;
    bool no_passphrase = false;
};

Result<int> run(Context& context, const Arguments& arguments) {
    const auto passphrase = key_passphrase();
    if (passphrase.empty() != arguments.no_passphrase) {
        Error error(Code::usage, arguments.no_passphrase ? "--no-passphrase, but BERTH_KEY_PASSPHRASE holds one" : "a key needs a passphrase");
        error.set_fix(arguments.no_passphrase ? "leave one of both out" : "put one into BERTH_KEY_PASSPHRASE, or give --no-passphrase for a key that whoever has the file can use");
        return fail(std::move(error));
    }
    const auto file = arguments.file.empty() ? default_key_file(context) : std::filesystem::path(arguments.file);
    const auto key = SigningKey::generate();
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    // Without a passphrase there is nothing to guess, so guessing need not cost anything.
    const auto work = arguments.no_passphrase ? KeyFile::Work{.memory_kib = 8'192, .passes = 1} : KeyFile::Work{};
    BERTH_TRYV(KeyFile::create(file, key, static_cast<std::uint64_t>(now), arguments.label, as_bytes(passphrase), work));
    const auto did = did_key(key.public_key());
    if (context.console.format == Format::json) {
        context.console.line(JsonWriter().begin_object().member("$type", "berth.key").member("file", file.string()).member("did", did).end_object().text());
    } else {
        context.console.line(did);
        context.console.notice(format("the key is in {}", file.string()));
    }
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("file", arguments->file, "where to; your own key if left out")->type_name("FILE");
    app.add_option("--label", arguments->label, "kept in the file")->type_name("TEXT");
    app.add_flag("--no-passphrase", arguments->no_passphrase, "whoever has the file can sign");
    app.add_option("--state-dir", context.state_dir, "where your own key is kept")->envname("BERTH_STATE_DIR")->type_name("D");
    action = [&context, arguments] { return run(context, *arguments); };
}

}  // namespace

const Verb keygen_verb{"keygen", "Make a signing key", declare};

}  // namespace berth::cli
