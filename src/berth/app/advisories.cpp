#include "berth/app/advisories.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "berth/app/application.hpp"
#include "berth/base/format.hpp"
#include "berth/base/yaml.hpp"

namespace berth {
namespace {

using Version = std::array<std::uint32_t, 3>;

std::optional<Version> parse_version(std::string_view text) {
    Version version{};
    for (std::size_t i = 0; i < version.size(); ++i) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version[i]);
        if (error != std::errc()) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (i + 1 == version.size()) break;
        if (!text.starts_with('.')) return std::nullopt;
        text.remove_prefix(1);
    }
    return text.empty() ? std::optional(version) : std::nullopt;
}

/// Within a line that got a fix, what is older has the fault; of the other lines those older than the newest fix.
bool has_fault(const Version& version, const std::vector<Version>& fixed) {
    for (const auto& fix : fixed) {
        if (fix[0] == version[0]) return version < fix;
    }
    return !fixed.empty() && version < *std::max_element(fixed.begin(), fixed.end());
}

}  // namespace

Result<std::vector<Advisory>> advisories_for(std::string_view list, std::string_view file, std::string_view version_text) {
    const auto version = parse_version(version_text);
    if (!version) return fail(Code::config_error, format("the engine's version {} is no A.B.C", version_text));
    BERTH_TRY(const auto document, parse_yaml(list, file));
    const auto* entries = document.find("entries");
    if (entries == nullptr || !entries->is_sequence()) return fail(Code::config_error, format("{} has no list `entries`", file));
    std::vector<Advisory> found;
    for (const auto& entry : entries->items) {
        const auto* id = entry.find("id");
        const auto* about = entry.find("about");
        const auto* fixed = entry.find("fixed");
        if (id == nullptr || about == nullptr || fixed == nullptr || !fixed->is_sequence()) return fail(Code::config_error, format("{}: an entry has id, about and fixed", place_text(file, entry.place)));
        std::vector<Version> fixes;
        for (const auto& each : fixed->items) {
            const auto fix = parse_version(each.text);
            if (!fix) return fail(Code::config_error, format("{}: {} is no version A.B.C", place_text(file, each.place), each.text));
            fixes.push_back(*fix);
        }
        if (has_fault(*version, fixes)) found.push_back({id->text, about->text});
    }
    return found;
}

Result<std::vector<Advisory>> advisories_for(const std::filesystem::path& share, std::string_view version) {
    const auto file = share / "advisories.yaml";
    BERTH_TRY(const auto bytes, read_file(file, 1 << 20));
    const auto space = version.find_last_of(' ');  // "wasmtime 48.0.8"
    return advisories_for(as_text(bytes), file.string(), space == std::string_view::npos ? version : version.substr(space + 1));
}

}  // namespace berth
