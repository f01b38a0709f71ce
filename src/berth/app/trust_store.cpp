#include "berth/app/trust_store.hpp"

#include <algorithm>
#include <ctime>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/base/base64.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/capability/scope.hpp"
#include "berth/crypto/did_key.hpp"
#include "berth/runtime/file_signature.hpp"

namespace berth {
namespace {

constexpr std::size_t largest_store = 1 << 20;

struct TrustedKey {
    std::string id, signer;
    std::vector<std::string> modules;
    std::optional<WallTime> not_after;
    bool revoked = false;
};

std::unexpected<Error> wrong(std::string_view what) { return fail(Code::config_error, format("the trust store {}", what)); }

Result<WallTime> time_of(std::string_view text) {
    std::tm time{};
    const std::string whole(text);
    const char* rest = ::strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%SZ", &time);
    if (rest == nullptr || *rest != 0) return wrong(format("has not_after {}; write a time as 2027-01-01T00:00:00Z", json_quote(text)));
    // A year that the clock of calls cannot tell lies before or after all that it can.
    constexpr auto first = std::chrono::ceil<std::chrono::seconds>(WallTime::min()), last = std::chrono::floor<std::chrono::seconds>(WallTime::max());
    return WallTime(std::clamp(std::chrono::sys_seconds(std::chrono::seconds(::timegm(&time))), first, last));
}

Result<bool> flag_of(std::string_view name, std::string_view value) {
    if (value != "true" && value != "false") return wrong(format("has {}, which is true or false", name));
    return value == "true";
}

Result<TrustedKey> key_of(std::string_view raw) {
    if (json_kind(raw) != JsonKind::object) return wrong("has a key that is no object");
    TrustedKey key;
    BERTH_TRY(const auto members, json_members(raw));
    for (const auto& [name, value] : members) {
        const bool is_text = json_kind(value) == JsonKind::string;
        if (name == "key_id" && is_text) {
            BERTH_TRY(key.id, json_string(value));
        } else if (name == "public" && is_text) {
            BERTH_TRY(const auto text, json_string(value));
            const auto bytes = from_base64(text);
            Ed25519PublicKey public_key{};
            if (!bytes || bytes->size() != public_key.size()) return wrong("has a public key that is not 32 bytes in base64");
            std::copy(bytes->begin(), bytes->end(), public_key.begin());
            if (!is_public_key(public_key)) return wrong("has a public key that is none");
            key.signer = did_key(public_key);
        } else if (name == "modules" && json_kind(value) == JsonKind::array) {
            BERTH_TRY(const auto patterns, json_elements(value));
            for (const auto pattern : patterns) {
                if (json_kind(pattern) != JsonKind::string) return wrong("has modules that are no texts");
                BERTH_TRY(auto text, json_string(pattern));
                key.modules.push_back(std::move(text));
            }
            if (key.modules.empty()) key.modules.emplace_back();  // a list of none permits none
        } else if (name == "not_after" && is_text) {
            BERTH_TRY(const auto text, json_string(value));
            BERTH_TRY(key.not_after, time_of(text));
        } else if (name == "revoked") {
            BERTH_TRY(key.revoked, flag_of(name, value));
        } else {
            return wrong(format("has a key with {}; a key has key_id, public, modules, not_after, revoked", json_quote(name)));
        }
    }
    if (key.id.empty() || key.signer.empty()) return wrong("has a key without key_id or public");
    return key;
}

Result<std::vector<TrustedKey>> read_store(std::string_view text) {
    if (const auto whole = check_json(text); !whole || json_kind(text) != JsonKind::object) return wrong("is no JSON object");
    std::vector<TrustedKey> keys;
    bool has_keys = false;
    BERTH_TRY(const auto members, json_members(text));
    for (const auto& [name, value] : members) {
        if (name == "keys" && json_kind(value) == JsonKind::array) {
            has_keys = true;
            BERTH_TRY(const auto elements, json_elements(value));
            for (const auto element : elements) {
                BERTH_TRY(auto key, key_of(element));
                if (std::ranges::any_of(keys, [&](const TrustedKey& other) { return other.id == key.id; })) return wrong(format("has two keys with the id {}", json_quote(key.id)));
                keys.push_back(std::move(key));
            }
        } else if (name == "policy" && json_kind(value) == JsonKind::object) {
            BERTH_TRY(const auto rules, json_members(value));
            for (const auto& [rule, asked] : rules) {
                if (rule == "required" && asked == "1") continue;
                if (rule == "required") return wrong("asks for a number of signatures other than 1; a module has one beside it");
                if (rule == "source_hash" && asked == "false") continue;
                if (rule == "source_hash") return wrong("asks for source_hash, which only packages have");
                return wrong(format("has a policy with {}", json_quote(rule)));
            }
        } else {
            return wrong(format("has {}; it has keys and policy", json_quote(name)));
        }
    }
    if (!has_keys) return wrong("has no keys");
    return keys;
}

}  // namespace

SignedModule SignedModule::read(const std::filesystem::path& file, ByteView bytes) {
    SignedModule module{.digest = sha256(bytes), .signer = {}, .problem = {}};
    const auto beside = file.string() + ".sig";
    const auto content = read_file(beside, 65'536);
    if (!content) {
        module.problem = format("there is no signature {}", beside);
        return module;
    }
    const auto signature = FileSignature::decode(*content);
    if (!signature) {
        module.problem = signature.error().message();
    } else if (signature->kind != SignedKind::module) {
        module.problem = "the signature beside it is over another kind of file";
    } else if (const auto holds = signature->verify(bytes); !holds) {
        module.problem = holds.error().message();
    } else {
        module.signer = signature->signer;
    }
    return module;
}

Result<void> check_trust_text(std::string_view text, std::string_view name, const SignedModule& module, WallTime now) {
    BERTH_TRY(const auto keys, read_store(text));
    const auto refuse = [&](std::string_view why) {
        Error error(Code::signature_invalid, format("no trusted signer vouches for {}: {}", name, why));
        error.set_fix("berth sign FILE with the key of a trusted signer, or name the signer in the trust store");
        return fail(std::move(error));
    };
    if (module.signer.empty()) return refuse(module.problem);
    const auto found = std::ranges::find_if(keys, [&](const TrustedKey& key) { return key.signer == module.signer; });
    if (found == keys.end()) return refuse(format("it is signed by {}, who is not in the store", module.signer));
    if (found->revoked) return refuse(format("the key {} is revoked", found->id));
    if (found->not_after && now > *found->not_after) return refuse(format("the key {} has expired", found->id));
    const Scope permitted{found->modules.empty() ? std::vector<std::string>{"*"} : found->modules, false, 0};
    if (!in_scope(ScopeKind::names, permitted, name)) return refuse(format("the key {} is not for modules of this name", found->id));
    return {};
}

Result<void> check_trust_store(const std::filesystem::path& store) {
    BERTH_TRY(const auto bytes, read_file(store, largest_store));
    BERTH_TRYV(read_store(as_text(bytes)));
    return {};
}

Result<void> check_trust(const std::filesystem::path& store, std::string_view name, const SignedModule& module, WallTime now) {
    BERTH_TRY(const auto bytes, read_file(store, largest_store));
    return check_trust_text(as_text(bytes), name, module, now);
}

}  // namespace berth
