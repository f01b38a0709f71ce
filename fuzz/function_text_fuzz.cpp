#include "berth/base/json.hpp"
#include "berth/base/yaml.hpp"
#include "berth/runtime/glob.hpp"
#include "berth/runtime/runtime_registry.hpp"
#include "berth/runtime/stderr_lines.hpp"
#include "berth/server/function_routes.hpp"
#include "berth/server/gunzip.hpp"
#include "berth/server/multipart.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// The texts that functions and their callers bring: uploads, answers on routes, runtime files, patterns, log lines.
int function_text(ByteView input) {
    const auto text = as_text(input);
    if (const auto json = multipart_to_json(text, "multipart/form-data; boundary=X")) BERTH_ASSERT(check_json(*json));
    if (const auto whole = gunzip(text, 1 << 20)) BERTH_ASSERT(whole->size() <= 1 << 20);
    if (check_json(text)) {
        const auto start = text.find_first_not_of(" \t\r\n");
        const auto end = text.find_last_not_of(" \t\r\n");
        if (const auto answer = route_response(text.substr(start, end + 1 - start))) {
            BERTH_ASSERT(answer->status >= 200 && answer->status <= 599);
            for (const auto& [name, value] : answer->fields) BERTH_ASSERT(value.find_first_of("\r\n") == std::string::npos);
        }
    }
    if (const auto node = parse_yaml(text, "f")) {
        if (const auto registry = RuntimeRegistry::load({}, &*node, "f")) BERTH_ASSERT(registry->named("exec"));
    }
    const auto half = text.substr(0, std::min<std::size_t>(text.size(), 200));
    glob_matches(half, text.substr(half.size()).substr(0, 200));
    IgnoreList::parse(half).ignores("a/b", false);
    StderrLines lines("info", [](const LogEntry& entry) {
        BERTH_ASSERT(entry.level == "debug" || entry.level == "info" || entry.level == "warn" || entry.level == "error");
    });
    lines.add(text, SteadyTime());
    lines.finish();
    return 0;
}

}  // namespace berth::fuzz
