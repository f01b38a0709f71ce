#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "berth/base/yaml.hpp"
#include "berth/capability/policy.hpp"

namespace berth {

/// Reads policies as they are written (docs/formats/policy.md): one mapping with `policy: 1`, or a sequence of them.
/// Paths of mounts are relative to the file. Every problem of the file is reported at once, as one config_error with
/// `file:line:column` of each and the nearest known name.
Result<std::vector<Policy>> parse_policies(std::string_view text, const std::filesystem::path& file);

/// More than any policy file that people write has.
inline constexpr std::uint64_t largest_policy_file = std::uint64_t{4} << 20;

/// The same from a file; file_not_found when it cannot be read, payload_too_large before it is.
Result<std::vector<Policy>> read_policies(const std::filesystem::path& file);

/// The same from a node of a larger document (`policies:` of berth.yaml), `file` being where it stands.
Result<std::vector<Policy>> policies_of(const YamlNode& node, const std::filesystem::path& file);

/// A shipped preset by name, from `folder`. Its policies are marked as presets.
Result<Policy> read_preset(std::string_view name, const std::filesystem::path& folder);

}  // namespace berth
