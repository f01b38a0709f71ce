#include <algorithm>

#include "berth/app/otlp_settings.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/dev_server.hpp"
#include "berth/cli/server_signals.hpp"
#include "berth/cli/signing.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/runtime/spans.hpp"
#include "berth/server/serving.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::vector<std::string> paths;
    std::string host;
    std::string port;
    std::string grace;
    bool expose_errors = false;
};

void print_address(Console& console, const std::string& url) {
    if (console.format != Format::json) return console.line("Listening on " + url);
    JsonWriter json;
    json.begin_object().member("$type", "berth.listening").member("url", url).end_object();
    console.line(json.text());
}

void print_functions(Console& console, const std::vector<FunctionRef>& functions) {
    for (const auto& function : functions) {
        const auto kind = function->engine == EngineKind::subprocess ? function->runtime : function->world;
        if (console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.function").member("name", function->name).member("engine", name(function->engine)).member("kind", kind).member("state", name(function->state));
            json.end_object();
            console.line(json.text());
        } else {
            console.line(format("  POST /api/functions/{:<24} {:<10} {}", function->name, kind, name(function->state)));
        }
    }
}

/// What --seed and --clock-start say of every call; refuses what would not make calls deterministic.
Result<void> make_deterministic(const Context& context, ServeOptions& options) {
    BERTH_TRY(const auto mode, context.call_mode());
    const auto& written = options.policy.written;
    const bool forced = std::any_of(written.begin(), written.end(), [](const Policy& policy) { return policy.deterministic == Deterministic::force; });
    if ((context.seed != 0 || !context.clock_start.empty()) && !context.deterministic && !forced) return fail(Code::usage, "--seed and --clock-start need --deterministic, or a policy that forces it");
    if (context.deterministic && options.functions.pooled != 0) {
        Error error(Code::usage, "--deterministic: with functions.isolation: pooled an instance carries one call into the next, and no call is the same again");
        error.set_fix("--isolation fresh");
        return fail(std::move(error));
    }
    options.functions.seed = mode.seed;
    options.functions.clock_start = mode.clock_start;
    return {};
}

Result<int> run(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    ServerSignals signals;
    context.set_flag("server.host", "--host", arguments.host);
    context.set_flag("server.port", "--port", arguments.port);
    context.set_flag("functions.isolation", "--isolation", context.isolation);
    context.serves = true;
    context.set_flag("server.grace", "--grace", arguments.grace);
    context.set_flag("server.expose_errors", "--expose-errors", arguments.expose_errors ? "true" : "");
    if (!context.receipt.empty()) {
        context.set_flag("functions.receipts_dir", "--receipt", context.receipt);
        context.set_flag("functions.receipts", "--receipt", "true");
    }
    BERTH_TRY(const auto configured, context.configuration());
    context.receipt = configured.value("functions.receipts_dir");
    if (context.receipt.empty() && configured.value("functions.receipts") == "true") return fail(Code::config_error, "functions.receipts: receipts need a folder; set functions.receipts_dir, or give --receipt DIR");
    ServeOptions options;
    BERTH_TRY(options.server, ServerSettings::from(configured));
    BERTH_TRY(options.policy, context.policy_request());
    for (const auto& path : arguments.paths) options.paths.emplace_back(path);
    if (options.paths.empty()) {
        options.paths.emplace_back(configured.value("functions.path"));
        options.missing_is_empty = true;
    }

    BERTH_TRY(auto application_options, context.application_options());
    application_options.compile_apart = true;
    BERTH_TRYV(record_calls(context, application_options));
    std::optional<ReceiptWriter> receipts;
    if (!context.receipt.empty()) {
        std::error_code error;
        std::filesystem::create_directories(context.receipt, error);
        if (error) return fail(Code::cannot_create, format("{} cannot be made: {}", context.receipt, error.message()));
        BERTH_TRY(auto key, open_signing_key(context));
        receipts.emplace(std::move(key), context.receipt);
        options.receipts = &*receipts;
        options.receipt_each = configured.value("functions.receipts") == "true";
    }
    BERTH_TRY(const auto application, Application::create(std::move(application_options)));
    BERTH_TRY(const auto exporter, make_otlp_exporter(configured, *application));
    std::optional<CallSpans> spans;
    std::optional<LogExport> log_export;
    if (exporter != nullptr) {
        log_export.emplace(*application, *exporter);
        if (exporter->traces()) options.spans = &spans.emplace(application->clock(), *exporter);
    }
    BERTH_TRY(options.functions, FunctionSettings::from(configured, *application));
    BERTH_TRYV(make_deterministic(context, options));
    console.notice(format("environment {}", configured.value("environment")));
    if (options.policy.production) {
        auto& problems = options.production_problems;
        problems = options.server.production_problems(options.functions.auth.has_administrator());
        if (options.functions.records_in_memory_written) problems.emplace_back("functions.records: memory: asynchronous calls that were accepted would be lost with it");
    }
    options.reconfigure = reconfigure(context, *application);
    BERTH_TRY(const auto serving, Serving::start(*application, std::move(options), console.progress()));
    // Before anybody is told that it listens: a signal from here on ends it gracefully.
    signals.serving([&] {
        serving->start_reload([&](const Result<std::string>& done) {
            auto& log = application->log();
            if (done) log.write(LogLevel::info, "server", "reloaded", {{"outcome", *done}});
            else log.write(LogLevel::error, "server", "the reload failed; everything is as before: " + done.error().full_message());
        });
    });
    print_address(console, serving->url());
    if (const auto admin = serving->admin_url(); !admin.empty()) print_address(console, admin);
    print_functions(console, serving->functions());
    for (const auto& notice : serving->notices()) console.notice(terminal_safe(notice));
    signals.wait();
    signals.stop_reloading();
    console.detail("draining");
    return ServerSignals::status(serving->stop());
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("paths", arguments->paths, "folders of functions or modules (functions)")->type_name("DIR|FILE");
    app.add_option("--host", arguments->host, "address (127.0.0.1)")->type_name("ADDRESS");
    app.add_option("--port", arguments->port, "port; 0: a free one (8080)")->type_name("PORT");
    app.add_option("--grace", arguments->grace, "time for running calls at the end")->type_name("D");
    app.add_flag("--expose-errors", arguments->expose_errors, "show details of 5xx errors");
    app.add_option("--record", context.record, "folder for the journal of every call")->envname("BERTH_RECORD")->type_name("DIR");
    app.add_option("--receipt", context.receipt, "folder for a signed receipt of every call")->envname("BERTH_RECEIPT")->type_name("DIR");
    add_determinism_flags(app, context);
    add_key_flags(app, context);
    add_guest_flags(app, context);
    action = [&context, arguments] { return run(context, *arguments); };
}

}  // namespace

const Verb serve_verb{"serve", "Serve modules and functions over HTTP", declare};

}  // namespace berth::cli
