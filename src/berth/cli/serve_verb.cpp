#include <CLI/CLI.hpp>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include <condition_variable>
#include <mutex>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/app/otlp_settings.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/signing.hpp"
#include "berth/runtime/spans.hpp"
#include "berth/cli/verbs.hpp"
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

Result<int> run(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    std::mutex mutex;
    std::condition_variable wake;
    bool stop = false;
    std::atomic<bool> serving_now{false};
    const Interrupt interrupt([&](int signal) {
        if (!serving_now.load()) ::_exit(128 + signal);  // still compiling: nothing to end gracefully
        {
            const std::lock_guard lock(mutex);
            stop = true;
        }
        wake.notify_all();
    });
    const auto flag = [&](std::string_view key, std::string_view name, const std::string& value) {
        if (value.empty()) return;
        context.flag_values.emplace_back(key, value);
        context.flag_names.emplace_back(key, name);
    };
    flag("server.host", "--host", arguments.host);
    flag("server.port", "--port", arguments.port);
    flag("server.grace", "--grace", arguments.grace);
    flag("server.expose_errors", "--expose-errors", arguments.expose_errors ? "true" : "");
    if (!context.receipt.empty()) {
        flag("functions.receipts_dir", "--receipt", context.receipt);
        flag("functions.receipts", "--receipt", "true");
    }
    BERTH_TRY(const auto configured, context.configuration());
    context.receipt = configured.value("functions.receipts_dir");
    if (context.receipt.empty() && configured.value("functions.receipts") == "true") return fail(Code::config_error, "functions.receipts: receipts need a folder; set functions.receipts_dir, or give --receipt DIR");
    ServeOptions options;
    BERTH_TRY(options.server, ServerSettings::from(configured));
    BERTH_TRY(options.policy, context.policy_request());
    BERTH_TRY(const auto grace, parse_duration(configured.value("server.grace")));
    options.grace = std::chrono::duration_cast<std::chrono::milliseconds>(grace);
    options.expose_errors = configured.value("server.expose_errors") == "true";
    for (const auto& path : arguments.paths) options.paths.emplace_back(path);
    if (options.paths.empty()) {
        options.paths.emplace_back(configured.value("functions.path"));
        options.missing_is_empty = true;
    }

    BERTH_TRY(auto application_options, context.application_options());
    application_options.compile_apart = true;
    application_options.record_folder = context.record;
    if (!context.record.empty()) {
        std::error_code error;
        std::filesystem::create_directories(context.record, error);
        if (error) return fail(Code::cannot_create, format("{} cannot be made: {}", context.record, error.message()));
    }
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
    console.notice(format("environment {}", configured.value("environment")));
    if (options.policy.production) {
        auto problems = application->production_problems(options.policy);
        if (options.expose_errors) problems.emplace_back("server.expose_errors: callers would see the detail of errors");
        BERTH_TRYV(refuse_in_production(problems));
    }
    BERTH_TRY(const auto serving, Serving::start(*application, std::move(options), console.progress()));
    serving_now = true;  // before anybody is told that it listens: a signal from here on ends it gracefully
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.listening").member("url", serving->url()).end_object();
        console.line(json.text());
    } else {
        console.line("Listening on " + serving->url());
    }
    print_functions(console, serving->functions());
    for (const auto& notice : serving->notices()) console.notice(terminal_safe(notice));
    {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stop; });
    }
    console.detail("draining");
    const bool clean = serving->stop();
    if (Interrupt::seen() == SIGINT) return 130;
    return clean ? 0 : 75;  // requests had to be cut: try again
}

void declare(CLI::App& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("paths", arguments->paths, "folders of functions or modules (functions)")->type_name("DIR|FILE");
    app.add_option("--host", arguments->host, "address (127.0.0.1)")->type_name("ADDRESS");
    app.add_option("--port", arguments->port, "port; 0: a free one (8080)")->type_name("PORT");
    app.add_option("--grace", arguments->grace, "time for running calls at the end")->type_name("D");
    app.add_flag("--expose-errors", arguments->expose_errors, "show details of 5xx errors");
    app.add_option("--record", context.record, "folder for the journal of every call")->envname("BERTH_RECORD")->type_name("DIR");
    app.add_option("--receipt", context.receipt, "folder for a signed receipt of every call")->envname("BERTH_RECEIPT")->type_name("DIR");
    add_key_flags(app, context);
    add_guest_flags(app, context);
    action = [&context, arguments] { return run(context, *arguments); };
}

}  // namespace

const Verb serve_verb{"serve", "Serve modules and functions over HTTP", declare};

}  // namespace berth::cli
