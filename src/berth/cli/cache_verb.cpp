#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/code_cache.hpp"

namespace berth::cli {
namespace {

Result<CodeCache*> cache_of(Application& application) {
    if (application.cache() != nullptr) return application.cache();
    return fail(Code::config_error, "there is no code cache here: --no-cache, or neither XDG_CACHE_HOME nor HOME is set");
}

Result<int> warm(Context& context, const std::vector<std::string>& files) {
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    BERTH_TRYV(cache_of(*application));
    for (const auto& file : files) {
        BERTH_TRY(const auto program, application->load(file, std::filesystem::path(file).stem().string(), request, context.console.progress()));
        if (context.console.format == Format::json) {
            context.console.line(JsonWriter().begin_object().member("$type", "berth.cache_warm").member("file", file).member("compiled", !program->from_cache()).end_object().text());
        } else {
            context.console.line(format("{}: {}", file, program->from_cache() ? "was there" : "compiled"));
        }
    }
    return 0;
}

Result<int> list(Context& context) {
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    BERTH_TRY(auto* cache, cache_of(*application));
    BERTH_TRY(const auto entries, cache->list());
    std::uint64_t total = 0;
    for (const auto& entry : entries) {
        total += entry.size;
        if (context.console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.cache_entry").member("key", entry.name).member("bytes", entry.size).end_object();
            context.console.line(json.text());
        } else {
            context.console.line(format("{} {:>12}", entry.name, entry.size));
        }
    }
    if (context.console.format == Format::text) context.console.line(format("{} entries, {} bytes in {}", entries.size(), total, (application->options().folders.cache / "code").string()));
    return 0;
}

Result<int> clear(Context& context) {
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    BERTH_TRY(auto* cache, cache_of(*application));
    BERTH_TRY(const auto removed, cache->clear());
    if (context.console.format == Format::json) {
        context.console.line(JsonWriter().begin_object().member("$type", "berth.cache_clear").member("removed", static_cast<std::uint64_t>(removed)).end_object().text());
    } else {
        context.console.line(format("removed {} entries", removed));
    }
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto files = std::make_shared<std::vector<std::string>>();
    auto* warm_app = app.add_subcommand("warm", "compile modules into the cache");
    warm_app->add_option("files", *files, "modules")->required()->type_name("FILE");
    add_guest_flags(*warm_app, context);
    add_output_flags(*warm_app, context);
    auto* list_app = app.add_subcommand("list", "what is in the cache");
    add_output_flags(*list_app, context);
    auto* clear_app = app.add_subcommand("clear", "remove everything from the cache");
    add_output_flags(*clear_app, context);
    app.require_subcommand(1);
    action = [&context, files, warm_app, list_app] { return warm_app->parsed() ? warm(context, *files) : list_app->parsed() ? list(context) : clear(context); };
}

}  // namespace

const Verb cache_verb{"cache", "Warm, list or clear the compiled-code cache", declare};

}  // namespace berth::cli
