#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

/// Everything a guest can be allowed to do. At most 64, so that a set of them is one word.
enum class Capability : std::uint8_t {
    log_write, fs_read, fs_write, fs_delete, net_fetch, net_send, net_connect, net_listen, net_datagram, time_now, time_sleep,
    random_number, random_secure, env_read, config_read, secret_read, queue_publish, queue_consume, message_send, message_receive,
    spawn_instance, spawn_process, db_read, db_write, model_read, function_invoke, event_publish, notify_send, dag_read, dag_write,
    mana_read, mana_spend, mana_mint, rep_read, mesh_submit, mesh_list, mesh_anchor, gov_propose, gov_open, gov_vote, gov_close,
    gov_execute, zk_verify, zk_prove, result_write,
};
inline constexpr std::size_t capability_count = static_cast<std::size_t>(Capability::result_write) + 1;
static_assert(capability_count <= 64);

/// What a scope of a capability lists; `none` for one that is granted whole.
enum class ScopeKind : std::uint8_t { none, paths, origins, hosts, addresses, names, keys, accounts };
std::string_view name(ScopeKind kind) noexcept;

struct CapabilityRow {
    Capability capability;
    std::string_view name;      // dotted, as policies write it
    ScopeKind scope;
    std::string_view sentence;  // what a holder may do
};

/// The vocabulary: one row a capability, in the order of the enumeration. The only source of names and scopes.
extern const std::array<CapabilityRow, capability_count> capability_table;
const CapabilityRow& row(Capability capability) noexcept;
inline std::string_view name(Capability capability) noexcept { return row(capability).name; }

/// One canonical name that a spelling stands for, with the scope it implies (`icn.mana.read` means the account `own`).
struct Spelled {
    Capability capability;
    std::string_view scope;  // empty: none implied
};

/// What a name means: a canonical name itself, or a world's own spelling, which may stand for several. Empty when unknown.
std::vector<Spelled> capabilities_named(std::string_view name);

/// All accepted spellings that are no canonical name, for help and for finding the nearest.
std::vector<std::string_view> capability_spellings();

}  // namespace berth
