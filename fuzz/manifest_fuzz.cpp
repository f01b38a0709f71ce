#include "berth/runtime/manifest.hpp"

#include "berth/base/yaml.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

int manifest(ByteView input) {
    const auto text = as_text(input);
    const auto node = parse_yaml(text, "f");
    if (!node) {
        BERTH_ASSERT(node.error().code() == Code::config_error);
        BERTH_ASSERT(node.error().where().starts_with("f:"));
    }
    std::vector<Diagnostic> problems;
    ManifestSettings settings;
    settings.host = [](std::string_view) { return std::optional<std::string>("x"); };
    const auto read = read_manifest(text, "manifest.yaml", settings, problems);
    if (!node) BERTH_ASSERT(!problems.empty());
    for (const auto& problem : problems) BERTH_ASSERT(!problem.number.empty() && !problem.place.empty() && !problem.text.empty());
    if (read.timeout) BERTH_ASSERT(*read.timeout >= std::chrono::milliseconds(100) && *read.timeout <= std::chrono::minutes(15));
    return 0;
}

}  // namespace berth::fuzz
