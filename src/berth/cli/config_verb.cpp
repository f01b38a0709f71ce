#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

void print(Console& console, const std::string& key, const std::vector<Config::Found>& found, bool all) {
    for (std::size_t i = 0; i < (all ? found.size() : 1); ++i) {
        if (console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.config").member("key", key).member("value", found[i].value).member("source", found[i].source).member("effective", i == 0).end_object();
            console.line(json.text());
        } else {
            console.line(format("{:<24} {:<20} {}", i == 0 ? key : "", terminal_safe(found[i].value), terminal_safe(found[i].source)));
        }
    }
}

Result<int> run(Context& context, const std::string& key, bool all) {
    BERTH_TRY(const auto config, context.configuration());
    if (key == "check") {
        if (context.console.format == Format::json) context.console.line(JsonWriter().begin_object().member("$type", "berth.config_check").member("keys", std::uint64_t{config.keys().size()}).end_object().text());
        else context.console.line("no problem");
        return 0;
    }
    if (!key.empty()) {
        const auto& found = config.all(key);
        if (found.empty()) {
            std::vector<std::string_view> names;
            for (const auto& each : config_keys()) names.push_back(each.name);
            const auto near = nearest(key, names);
            return fail(Code::not_found, format("there is no key \"{}\"{}", key, near.empty() ? "" : format("; did you mean {}?", near)));
        }
        print(context.console, key, found, all);
        return 0;
    }
    for (const auto& [name, found] : config.keys()) print(context.console, name, found, all);
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto key = std::make_shared<std::string>();
    auto all = std::make_shared<bool>(false);
    app.add_option("key", *key, "one key, or check: report every problem")->type_name("KEY|check");
    app.add_flag("--all", *all, "also what weaker sources hold");
    add_config_flags(app, context);
    action = [&context, key, all] { return run(context, *key, *all); };
}

}  // namespace

const Verb config_verb{"config", "Show each configuration key, its value and where that comes from", declare};

}  // namespace berth::cli
