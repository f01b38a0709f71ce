#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/cid.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/limits.hpp"
#include "berth/capability/capability.hpp"
#include "berth/capability/scope.hpp"

namespace berth {

/// A host directory that guests see as `/NAME` (the name `.` as `/`).
struct Mount {
    std::string name;
    std::filesystem::path host_path;
    bool writable = false;
    std::string from;  // where it was written, for people
};

/// One capability that a policy gives, and where it says so.
struct Grant {
    Scope scope;
    std::string from;  // `policies[2] in berth.yaml:31`, `--allow`, `preset wasi`
};

/// What happens when a required capability is refused: the start fails, or the guest starts and the call is denied.
enum class Missing : std::uint8_t { refuse, deny_at_call };
enum class Deterministic : std::uint8_t { manifest, force };

/// Who a policy is looked for: what is known of a guest before it is made ready.
struct PolicySubject {
    std::string_view world;
    std::string_view name;               // of the module or function
    const Digest* digest = nullptr;      // of its bytes; null: unknown, and a policy that asks for one does not fit
    std::string_view signer;             // DID of a signature that holds; empty: none
};

/// What a guest may do, how much of everything, and to whom that applies. A plain value; read from a file
/// (policy_file.hpp), from the command line (`allow`, `mount`, `set_environment`) or from a shipped preset.
struct Policy {
    struct Match {
        std::string world, name, function, digest, signer;  // empty: any; `*` is a wildcard in name and function; digest in hexadecimal or as a content id
    };

    Match match;
    std::vector<Mount> mounts;                  // in the order written
    std::map<Capability, Grant> grants;
    std::map<std::string, std::string> environment;  // values set by --env; shown only where env.read grants the name
    std::optional<Missing> missing;             // unset: the world's default
    Limits limits;                              // only what is written; everything else unlimited here
    bool exact_stack_depth = false;             // a depth that somebody wrote is exact
    Deterministic deterministic = Deterministic::manifest;
    std::string trust;                          // file of trusted signers
    std::string from;                           // where the policy is written
    bool is_preset = false;                     // shipped with Berth; refused in production

    /// Adds `CAP` or `CAP=SCOPE[,SCOPE…]`, in any accepted spelling. Unknown names fail with config_error and the nearest.
    Result<void> allow(std::string_view text, std::string from);
    /// Adds `NAME=DIR[:ro|:rw]` and grants fs.read on it, with `:rw` fs.write and fs.delete as well.
    Result<void> mount(std::string_view text, std::string from);
    /// Adds `KEY=VALUE` to the environment and grants env.read on that name.
    Result<void> set_environment(std::string_view text, std::string from);

    bool matches(const PolicySubject& subject) const noexcept;
};

/// The first policy that fits, or none: then nothing is granted.
const Policy* choose_policy(const std::vector<Policy>& policies, const PolicySubject& subject) noexcept;

/// The effective policy as a canonical DAG-CBOR record without host paths; its content id is the policy digest.
Bytes policy_record(const Policy& policy, Missing world_default);
inline Cid policy_digest(const Policy& policy, Missing world_default) { return Cid::of(Cid::Codec::dag_cbor, policy_record(policy, world_default)); }

/// Every accepted name, canonical ones first: for finding the nearest.
std::vector<std::string_view> all_capability_names();

}  // namespace berth
