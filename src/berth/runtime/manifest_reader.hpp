#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/runtime/manifest.hpp"

namespace berth {

/// Turns the fields of one manifest into a FunctionManifest and a list of its problems. Used by read_manifest only; its
/// parts lie in manifest.cpp (plain fields) and manifest_parts.cpp (fields that have fields).
class ManifestReader {
public:
    ManifestReader(std::string_view file, const ManifestSettings& settings, std::vector<Diagnostic>& problems) : file_(file), settings_(settings), problems_(problems) { manifest_.file = file; }

    FunctionManifest read(const YamlNode& root);

private:
    using Pairs = std::vector<std::pair<std::string, std::string>>;

    void problem(std::string_view number, TextPlace place, std::string_view path, std::string_view text);
    std::optional<std::string> text(const YamlNode& value, std::string_view path);
    std::vector<std::string> texts(const YamlNode& value, std::string_view path, std::string_view number = "M003");
    std::optional<bool> flag(const YamlNode& value, std::string_view path);
    std::optional<std::string> word(const YamlNode& value, std::string_view path, std::initializer_list<std::string_view> allowed, std::string_view number = "M003");
    /// Whole numbers are seconds only where `bare` says so.
    std::optional<std::chrono::nanoseconds> duration(const YamlNode& value, std::string_view path, bool bare, std::string_view number, std::chrono::nanoseconds least,
                                                     std::chrono::nanoseconds most);
    std::uint64_t count(const YamlNode& value, std::string_view path, std::uint64_t otherwise);
    void unknown(const YamlNode& key, std::string_view path, std::string_view number, std::initializer_list<std::string_view> known);

    void read_field(std::string_view name, const YamlNode& key, const YamlNode& value);
    void read_memory(const YamlNode& value);
    Pairs read_env(const YamlNode& value, std::string_view field);
    /// `${NAME}`, `${NAME:-default}` and `$$`; a bare dollar sign stays.
    std::optional<std::string> expand(const YamlNode& content, std::string_view path);
    void read_env_pass(const YamlNode& value);
    void read_limits(const YamlNode& value);
    void read_build(const YamlNode& value);
    void read_routes(const YamlNode& value);
    void read_auth(const YamlNode& value);
    void read_secrets(const YamlNode& value);
    void read_reload(const YamlNode& value);

    std::string_view file_;
    const ManifestSettings& settings_;
    std::vector<Diagnostic>& problems_;
    FunctionManifest manifest_;
};

bool is_variable_name(std::string_view name);

}  // namespace berth
