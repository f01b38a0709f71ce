#include "berth/capability/policy_file.hpp"

#include "berth/base/cbor.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// Policies as somebody wrote them. What is refused says where; what is read has a record that can be read, and the same one
/// when it is asked for twice.
int policy_file(ByteView input) {
    const auto read = parse_policies(as_text(input), "p.yaml");
    if (!read) {
        BERTH_ASSERT(read.error().code() == Code::config_error && !read.error().message().empty());
        return 0;
    }
    BERTH_ASSERT(!read->empty());
    for (const auto& policy : *read) {
        const auto record = policy_record(policy, Missing::deny_at_call);
        BERTH_ASSERT(Cbor::decode(record));
        BERTH_ASSERT(policy_record(policy, Missing::deny_at_call) == record);
        for (const auto& [capability, grant] : policy.grants) {
            BERTH_ASSERT(!grant.from.empty());
            static_cast<void>(in_scope(row(capability).scope, grant.scope, "https://a.example/b"));
        }
        static_cast<void>(policy.matches({.world = "wasi", .name = "hello", .signer = ""}));
    }
    return 0;
}

}  // namespace berth::fuzz
