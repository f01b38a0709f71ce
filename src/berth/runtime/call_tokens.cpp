#include "berth/runtime/call_tokens.hpp"

#include <sys/random.h>

#include <cstring>

#include "berth/base/format.hpp"
#include "berth/capability/policy.hpp"

namespace berth {

Result<void> CallGrant::admits(Capability capability, std::string_view name) const {
    if (policy == nullptr) return {};
    const auto granted = policy->grants.find(capability);
    if (granted != policy->grants.end() && (name.empty() || in_scope(ScopeKind::names, granted->second.scope, name))) return {};
    Error error(Code::forbidden, format("the policy of function \"{}\" ({}) does not grant it {}{}", function, policy->from, berth::name(capability), name.empty() ? std::string() : format(" of \"{}\"", name)));
    error.set_fix(name.empty() ? format("add `{}: {{}}` to its grants", berth::name(capability)) : format("add `{}: {{names: [{}]}}` to its grants", berth::name(capability), name));
    return fail(std::move(error));
}

std::size_t CallTokens::Hash::operator()(const Digest& digest) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, digest.data() + 8, sizeof value);
    return value;
}

CallTokens::Held::~Held() {
    if (!tokens_) return;
    auto& shard = tokens_->shard_of(digest_);
    const std::lock_guard lock(shard.mutex);
    shard.grants.erase(digest_);
}

Result<CallTokens::Held> CallTokens::issue(CallGrant grant) {
    std::array<std::uint8_t, 32> bytes;
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return fail(Code::runtime_bug, "the system has no randomness for the token of a call");
    auto text = to_hex(bytes);
    const auto digest = sha256(as_bytes(text));
    auto& shard = shard_of(digest);
    {
        const std::lock_guard lock(shard.mutex);
        shard.grants.emplace(digest, std::make_shared<const CallGrant>(std::move(grant)));
    }
    return Held(shared_from_this(), std::move(text), digest);
}

std::shared_ptr<const CallGrant> CallTokens::find(std::string_view token) const {
    if (token.size() != 64) return nullptr;
    const auto digest = sha256(as_bytes(token));  // what is compared is the digest, of which a caller controls no prefix
    const auto& shard = shard_of(digest);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.grants.find(digest);
    return found == shard.grants.end() ? nullptr : found->second;
}

std::size_t CallTokens::size() const {
    std::size_t count = 0;
    for (const auto& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        count += shard.grants.size();
    }
    return count;
}

}  // namespace berth
