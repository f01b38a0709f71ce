#include <gnu/libc-version.h>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/engine/wasm_engine.hpp"

namespace berth::cli {
namespace {

Result<int> run(Context& context) {
    const std::vector<std::pair<std::string, std::string>> rows{
        {"version", std::string(berth_version())},
        {"engine", WasmEngine::version()},
        {"fuel", std::string(fuel_schedule)},
        {"depth", std::string(depth_schedule)},
        {"formats", "policy 1, journal 1, receipt 1, key file 1, signature 1, record log 1, store 1"},
        {"worlds", "bare, wasi (preview 1)"},
        {"c_library", gnu_get_libc_version()},
    };
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.version");
        for (const auto& [key, value] : rows) json.member(key, value);
        json.end_object();
        context.console.line(json.text());
    } else {
        context.console.line(format("berth {}", berth_version()));
        for (std::size_t i = 1; i < rows.size(); ++i) context.console.line(format("  {:<10} {}", rows[i].first, rows[i].second));
    }
    return 0;
}

}  // namespace

const Verb version_verb{"version", "Versions of Berth, its engine and its formats",
                        [](CommandLine&, Context& context, std::function<Result<int>()>& action) { action = [&context] { return run(context); }; }};

}  // namespace berth::cli
