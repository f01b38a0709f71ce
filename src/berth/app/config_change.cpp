#include "berth/app/config_change.hpp"

#include <algorithm>
#include <array>

namespace berth {

namespace {

/// Keys, and with a dot at the end groups of keys, that a running server takes over.
constexpr std::array<std::string_view, 13> reloadable{"server.access_log", "server.trusted_proxies", "server.cors.", "server.compress", "server.rate", "server.burst",
                                                      "server.rate_key",   "server.auth.",           "server.tls.",  "functions.auth",  "functions.admin_token", "functions.secrets_dir", "policies"};

bool is_reloadable(std::string_view key) {
    return std::any_of(reloadable.begin(), reloadable.end(), [&](std::string_view one) { return one.ends_with('.') ? key.starts_with(one) : key == one; });
}

bool same(const YamlNode& a, const YamlNode& b) {
    if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size() || a.members.size() != b.members.size()) return false;
    for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (!same(a.items[i], b.items[i])) return false;
    }
    for (std::size_t i = 0; i < a.members.size(); ++i) {
        if (!same(a.members[i].first, b.members[i].first) || !same(a.members[i].second, b.members[i].second)) return false;
    }
    return true;
}

}  // namespace

ConfigChange config_change(const Config& before, const Config& now) {
    ConfigChange change;
    const auto differs = [&](const std::string& key) { (is_reloadable(key) ? change.taken : change.needs_restart).push_back(key); };
    for (const auto& [key, found] : now.keys()) {
        const auto& old = before.all(key);
        if (old.empty() || old.front().value != found.front().value) differs(key);
    }
    for (const auto& [key, found] : before.keys()) {
        if (now.all(key).empty()) differs(key);
    }
    std::vector<std::string_view> sections(config_sections().begin(), config_sections().end());
    sections.emplace_back("policies");
    for (const auto section : sections) {
        const auto *old = before.section(section), *fresh = now.section(section);
        if ((old == nullptr) != (fresh == nullptr) || (old != nullptr && !same(old->node, fresh->node))) differs(std::string(section));
    }
    return change;
}

}  // namespace berth
