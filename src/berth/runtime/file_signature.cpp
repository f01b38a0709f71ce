#include "berth/runtime/file_signature.hpp"

#include <algorithm>

#include "berth/base/cbor.hpp"
#include "berth/base/format.hpp"
#include "berth/crypto/did_key.hpp"

namespace berth {
namespace {

std::string tag_of(SignedKind kind) { return format("berth/{}/v1", name(kind)); }

std::unexpected<Error> invalid(std::string_view what) { return fail(Code::signature_invalid, format("the signature file {}", what)); }

}  // namespace

std::string_view name(SignedKind kind) noexcept { return kind == SignedKind::module ? "module" : "policy"; }

FileSignature FileSignature::sign(SignedKind kind, ByteView content, const SigningKey& key) { return {kind, did_key(key.public_key()), key.sign(tag_of(kind), content)}; }

Bytes FileSignature::encode() const {
    return Cbor(Cbor::Map{{"v", 1}, {"of", std::string(name(kind))}, {"sig", Bytes(signature.begin(), signature.end())}, {"signer", signer}}).encode();
}

Result<FileSignature> FileSignature::decode(ByteView bytes) {
    const auto map = Cbor::decode(bytes);
    if (!map || map->map() == nullptr || map->map()->size() != 4) return invalid("is none");
    const auto* version = map->find("v");
    if (version == nullptr || version->unsigned_number() == nullptr) return invalid("has no version");
    if (*version->unsigned_number() != 1) return fail(Code::version_unsupported, format("the signature file has version {}; this build reads 1", *version->unsigned_number()));
    const auto* of = map->find("of");
    const auto* signer = map->find("signer");
    const auto* signature = map->find("sig");
    if (of == nullptr || of->text() == nullptr || signer == nullptr || signer->text() == nullptr || signature == nullptr || signature->bytes() == nullptr || signature->bytes()->size() != 64) return invalid("lacks something");
    FileSignature read;
    if (*of->text() == name(SignedKind::policy)) {
        read.kind = SignedKind::policy;
    } else if (*of->text() != name(SignedKind::module)) {
        return invalid(format("is over a {}", *of->text()));
    }
    read.signer = *signer->text();
    std::copy(signature->bytes()->begin(), signature->bytes()->end(), read.signature.begin());
    return read;
}

Result<void> FileSignature::verify(ByteView content) const {
    const auto key = parse_did_key(signer);
    if (!key) return invalid(format("names a signer that cannot be checked: {}", key.error().message()));
    if (!verify_signature(*key, tag_of(kind), content, signature)) return fail(Code::signature_invalid, format("the signature by {} is not over this {}", signer, name(kind)));
    return {};
}

}  // namespace berth
