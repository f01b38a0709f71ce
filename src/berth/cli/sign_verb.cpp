#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/cli/signing.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/crypto/did_key.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/runtime/file_signature.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::string file;
    std::string signature;
    std::vector<std::string> signers;
};

/// What a file is: a module, or policies that can be read. Nothing else is signed.
Result<SignedKind> kind_of(const std::string& file, ByteView content) {
    if (as_text(content).starts_with(std::string_view("\0asm", 4)) || looks_like_wat(content)) {
        if (!looks_like_wat(content)) BERTH_TRYV(ModuleInfo::read(content, ModuleBounds{}));
        return SignedKind::module;
    }
    BERTH_TRYV(parse_policies(as_text(content), file));
    return SignedKind::policy;
}

/// Policies are far smaller than modules may be.
Result<Bytes> read_signed(const std::string& file) { return read_module(file, largest_module(PolicyRequest{})); }

std::string signature_file(const Arguments& arguments) { return arguments.signature.empty() ? arguments.file + ".sig" : arguments.signature; }

void say(Context& context, SignedKind kind, const Arguments& arguments, const std::string& signer) {
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.signature").member("file", arguments.file).member("of", name(kind)).member("signature", signature_file(arguments)).member("signer", signer);
        context.console.line(json.end_object().text());
    } else {
        context.console.line(format("{} {} signed by {}", name(kind), arguments.file, signer));
    }
}

Result<int> sign(Context& context, const Arguments& arguments) {
    BERTH_TRY(const auto content, read_signed(arguments.file));
    BERTH_TRY(const auto kind, kind_of(arguments.file, content));
    BERTH_TRY(const auto key, open_signing_key(context));
    const auto made = FileSignature::sign(kind, content, key);
    BERTH_TRYV(write_file(signature_file(arguments), made.encode()));
    say(context, kind, arguments, made.signer);
    return 0;
}

Result<int> verify(Context& context, const Arguments& arguments) {
    BERTH_TRY(const auto content, read_signed(arguments.file));
    const auto beside = signature_file(arguments);
    std::error_code missing;
    if (!std::filesystem::exists(beside, missing)) {
        Error unsigned_file(Code::signature_invalid, format("{} is not signed: there is no {}", arguments.file, beside));
        unsigned_file.set_fix(format("berth sign {}, or --signature FILE", arguments.file));
        return fail(std::move(unsigned_file));
    }
    BERTH_TRY(const auto bytes, read_file(beside, 65'536));
    BERTH_TRY(const auto signature, FileSignature::decode(bytes));
    BERTH_TRYV(signature.verify(content));
    if (!arguments.signers.empty() && std::find(arguments.signers.begin(), arguments.signers.end(), signature.signer) == arguments.signers.end()) {
        return fail(Code::signature_invalid, format("{} is signed by {}, who is none of those named", arguments.file, signature.signer));
    }
    say(context, signature.kind, arguments, signature.signer);
    return 0;
}

void declare_sign(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("file", arguments->file, "a module or a policy file")->required()->type_name("FILE");
    app.add_option("--signature", arguments->signature, "where to; FILE.sig if left out")->type_name("F");
    add_key_flags(app, context);
    app.add_option("--state-dir", context.state_dir, "where your own key is kept")->envname("BERTH_STATE_DIR")->type_name("D");
    action = [&context, arguments] { return sign(context, *arguments); };
}

void declare_verify(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("file", arguments->file, "a signed module or policy file")->required()->type_name("FILE");
    app.add_option("--signature", arguments->signature, "FILE.sig if left out")->type_name("F");
    app.add_option("--signer", arguments->signers, "one of these must have signed; anyone if left out")->type_name("DID")->allow_extra_args(false);
    action = [&context, arguments] { return verify(context, *arguments); };
}

}  // namespace

const Verb sign_verb{"sign", "Sign a module or a policy file", declare_sign};
const Verb verify_verb{"verify", "Check the signature of a module or a policy file", declare_verify};

}  // namespace berth::cli
