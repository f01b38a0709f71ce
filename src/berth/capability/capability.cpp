#include "berth/capability/capability.hpp"

namespace berth {

using enum Capability;

constexpr std::array<CapabilityRow, capability_count> capability_table{{
    {log_write, "log.write", ScopeKind::none, "write log records, metrics and spans"},
    {fs_read, "fs.read", ScopeKind::paths, "open files for reading, read, list and stat"},
    {fs_write, "fs.write", ScopeKind::paths, "create, write and truncate files, make directories, rename to"},
    {fs_delete, "fs.delete", ScopeKind::paths, "remove files and directories, rename from"},
    {net_fetch, "net.fetch", ScopeKind::origins, "outgoing HTTP GET and HEAD"},
    {net_send, "net.send", ScopeKind::origins, "outgoing HTTP with any other method"},
    {net_connect, "net.connect", ScopeKind::hosts, "TCP connections and name look-up"},
    {net_listen, "net.listen", ScopeKind::addresses, "TCP bind, listen and accept"},
    {net_datagram, "net.datagram", ScopeKind::hosts, "UDP"},
    {time_now, "time.now", ScopeKind::none, "read clocks"},
    {time_sleep, "time.sleep", ScopeKind::none, "wait on clocks"},
    {random_number, "random.number", ScopeKind::none, "insecure random numbers"},
    {random_secure, "random.secure", ScopeKind::none, "secure random bytes"},
    {env_read, "env.read", ScopeKind::names, "read environment variables"},
    {config_read, "config.read", ScopeKind::keys, "read configuration"},
    {secret_read, "secret.read", ScopeKind::names, "read secrets"},
    {queue_publish, "queue.publish", ScopeKind::names, "publish to queues"},
    {queue_consume, "queue.consume", ScopeKind::names, "consume from queues"},
    {message_send, "message.send", ScopeKind::none, "send messages on the bus of the session"},
    {message_receive, "message.receive", ScopeKind::none, "receive messages from the bus of the session"},
    {spawn_instance, "spawn.instance", ScopeKind::names, "start instances of other modules"},
    {spawn_process, "spawn.process", ScopeKind::names, "start processes"},
    {db_read, "db.read", ScopeKind::names, "query databases"},
    {db_write, "db.write", ScopeKind::names, "change databases"},
    {model_read, "model.read", ScopeKind::paths, "load models"},
    {function_invoke, "function.invoke", ScopeKind::names, "call other functions"},
    {event_publish, "event.publish", ScopeKind::names, "publish events"},
    {notify_send, "notify.send", ScopeKind::names, "send notifications"},
    {dag_read, "dag.read", ScopeKind::none, "read DAG blocks"},
    {dag_write, "dag.write", ScopeKind::none, "write DAG blocks"},
    {mana_read, "mana.read", ScopeKind::accounts, "read balances"},
    {mana_spend, "mana.spend", ScopeKind::none, "spend from the own account"},
    {mana_mint, "mana.mint", ScopeKind::none, "mint"},
    {rep_read, "rep.read", ScopeKind::none, "read reputations"},
    {mesh_submit, "mesh.submit", ScopeKind::none, "submit jobs to the mesh"},
    {mesh_list, "mesh.list", ScopeKind::none, "list jobs of the mesh"},
    {mesh_anchor, "mesh.anchor", ScopeKind::none, "anchor receipts"},
    {gov_propose, "gov.propose", ScopeKind::none, "make proposals"},
    {gov_open, "gov.open", ScopeKind::none, "open votes"},
    {gov_vote, "gov.vote", ScopeKind::none, "vote"},
    {gov_close, "gov.close", ScopeKind::none, "close votes"},
    {gov_execute, "gov.execute", ScopeKind::none, "execute proposals"},
    {zk_verify, "zk.verify", ScopeKind::none, "verify proofs"},
    {zk_prove, "zk.prove", ScopeKind::none, "make proofs"},
    {result_write, "result.write", ScopeKind::none, "write the result of a job"},
}};

namespace {

consteval bool table_in_order() {
    for (std::size_t i = 0; i < capability_table.size(); ++i) {
        if (static_cast<std::size_t>(capability_table[i].capability) != i) return false;
    }
    return true;
}
static_assert(table_in_order());

struct Spelling {
    std::string_view name;
    Spelled means;
};

// The worlds' own spellings; a name that stands for several capabilities has several rows.
constexpr std::array spellings{
    Spelling{"io.log", {log_write, ""}},
    Spelling{"actuator_log", {log_write, ""}},
    Spelling{"icn.log", {log_write, ""}},
    Spelling{"io.read", {fs_read, ""}},
    Spelling{"fs_read", {fs_read, ""}},
    Spelling{"storage_read", {fs_read, ""}},
    Spelling{"storage_read", {db_read, ""}},
    Spelling{"io.write", {fs_write, ""}},
    Spelling{"io.write", {fs_delete, ""}},
    Spelling{"fs_write", {fs_write, ""}},
    Spelling{"fs_write", {fs_delete, ""}},
    Spelling{"storage_write", {fs_write, ""}},
    Spelling{"storage_write", {db_write, ""}},
    Spelling{"storage_delete", {fs_delete, ""}},
    Spelling{"net_out", {net_fetch, ""}},
    Spelling{"net_out", {net_send, ""}},
    Spelling{"network_connect", {net_fetch, ""}},
    Spelling{"network_connect", {net_send, ""}},
    Spelling{"network_connect", {net_connect, ""}},
    Spelling{"network_listen", {net_listen, ""}},
    Spelling{"network_broadcast", {net_datagram, ""}},
    Spelling{"time", {time_now, ""}},
    Spelling{"time", {time_sleep, ""}},
    Spelling{"sensor_time", {time_now, ""}},
    Spelling{"sensor_time", {time_sleep, ""}},
    Spelling{"icn.time", {time_now, ""}},
    Spelling{"random", {random_number, ""}},
    Spelling{"random", {random_secure, ""}},
    Spelling{"sensor_random", {random_number, ""}},
    Spelling{"sensor_random", {random_secure, ""}},
    Spelling{"env", {env_read, ""}},
    Spelling{"sensor_environment", {env_read, ""}},
    Spelling{"config", {config_read, ""}},
    Spelling{"secrets", {secret_read, ""}},
    Spelling{"queues_out", {queue_publish, ""}},
    Spelling{"queues_in", {queue_consume, ""}},
    Spelling{"cross_sandbox_call", {message_send, ""}},
    Spelling{"cross_sandbox_call", {message_receive, ""}},
    Spelling{"spawn_sandbox", {spawn_instance, ""}},
    Spelling{"icn.exec.native", {spawn_process, ""}},
    Spelling{"models", {model_read, ""}},
    Spelling{"actuator_notify", {notify_send, ""}},
    Spelling{"actuator_credit", {mana_spend, ""}},
    Spelling{"icn.dag.read", {dag_read, ""}},
    Spelling{"icn.dag.write", {dag_write, ""}},
    Spelling{"icn.mana.read", {mana_read, "own"}},
    Spelling{"icn.mana.read.any", {mana_read, "*"}},
    Spelling{"icn.mana.spend", {mana_spend, ""}},
    Spelling{"icn.mana.mint", {mana_mint, ""}},
    Spelling{"icn.rep.read", {rep_read, ""}},
    Spelling{"icn.mesh.submit", {mesh_submit, ""}},
    Spelling{"icn.mesh.list", {mesh_list, ""}},
    Spelling{"icn.mesh.anchor", {mesh_anchor, ""}},
    Spelling{"icn.gov.propose", {gov_propose, ""}},
    Spelling{"icn.gov.open", {gov_open, ""}},
    Spelling{"icn.gov.vote", {gov_vote, ""}},
    Spelling{"icn.gov.close", {gov_close, ""}},
    Spelling{"icn.gov.execute", {gov_execute, ""}},
    Spelling{"icn.zk.verify", {zk_verify, ""}},
    Spelling{"icn.zk.prove", {zk_prove, ""}},
    Spelling{"icn.output", {result_write, ""}},
};

}  // namespace

std::string_view name(ScopeKind kind) noexcept {
    switch (kind) {
        case ScopeKind::none: return "";
        case ScopeKind::paths: return "paths";
        case ScopeKind::origins: return "origins";
        case ScopeKind::hosts: return "hosts";
        case ScopeKind::addresses: return "addresses";
        case ScopeKind::names: return "names";
        case ScopeKind::keys: return "keys";
        case ScopeKind::accounts: return "accounts";
    }
    return "";
}

const CapabilityRow& row(Capability capability) noexcept { return capability_table[static_cast<std::size_t>(capability)]; }

std::vector<Spelled> capabilities_named(std::string_view name) {
    for (const auto& candidate : capability_table) {
        if (candidate.name == name) return {{candidate.capability, ""}};
    }
    std::vector<Spelled> found;
    for (const auto& spelling : spellings) {
        if (spelling.name == name) found.push_back(spelling.means);
    }
    return found;
}

std::vector<std::string_view> capability_spellings() {
    std::vector<std::string_view> names;
    for (const auto& spelling : spellings) {
        if (names.empty() || names.back() != spelling.name) names.push_back(spelling.name);
    }
    return names;
}

}  // namespace berth
