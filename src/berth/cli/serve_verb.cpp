#include <CLI/CLI.hpp>
#include <signal.h>
#include <unistd.h>

#include <atomic>

#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/server/serving.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::vector<std::string> paths;
    std::string host;
    std::string port;
    std::string grace = "10s";
    bool expose_errors = false;
};

Result<std::uint16_t> parse_port(std::string_view text, std::string_view source) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > 65535) return fail(Code::config_error, format("{}: \"{}\" is no port; use 0 to 65535", source, text));
    return static_cast<std::uint16_t>(value);
}

/// Flag, then BERTH_SERVER_PORT, then PORT, then 8080.
Result<std::uint16_t> choose_port(const std::string& flag) {
    if (!flag.empty()) return parse_port(flag, "--port");
    for (const auto* variable : {"BERTH_SERVER_PORT", "PORT"}) {
        if (const char* value = std::getenv(variable)) return parse_port(value, variable);
    }
    return std::uint16_t{8080};
}

/// Loopback unless told otherwise, or a platform says that it is in front.
std::string choose_host(const std::string& flag) {
    if (!flag.empty()) return flag;
    if (const char* value = std::getenv("BERTH_SERVER_HOST")) return value;
    for (const auto* variable : {"K_SERVICE", "KUBERNETES_SERVICE_HOST", "FUNCTION_TARGET"}) {
        if (std::getenv(variable) != nullptr) return "0.0.0.0";
    }
    return "127.0.0.1";
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
    ServeOptions options;
    BERTH_TRY(options.port, choose_port(arguments.port));
    options.host = choose_host(arguments.host);
    BERTH_TRY(options.policy, context.policy_request());
    BERTH_TRY(const auto grace, parse_duration(arguments.grace) | note([] { return "--grace"; }));
    options.grace = std::chrono::duration_cast<std::chrono::milliseconds>(grace);
    options.expose_errors = arguments.expose_errors;
    if (options.policy.production && arguments.expose_errors) return fail(Code::config_error, "production does not show errors to callers; leave --expose-errors out");
    for (const auto& path : arguments.paths) options.paths.emplace_back(path);
    if (options.paths.empty()) options.paths.emplace_back("functions");

    BERTH_TRY(const auto application, Application::create(context.application_options()));
    console.notice(format("environment {}", context.environment_name.empty() ? "development" : context.environment_name));
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
    serving->stop();
    return Interrupt::seen() == SIGINT ? 130 : 0;
}

void declare(CLI::App& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("paths", arguments->paths, "folders of functions or modules (functions)")->type_name("DIR|FILE");
    app.add_option("--host", arguments->host, "address (127.0.0.1)")->type_name("ADDRESS");
    app.add_option("--port", arguments->port, "port; 0: a free one (8080)")->type_name("PORT");
    app.add_option("--grace", arguments->grace, "time for running calls at the end")->type_name("D");
    app.add_flag("--expose-errors", arguments->expose_errors, "show details of 5xx errors");
    add_guest_flags(app, context);
    action = [&context, arguments] { return run(context, *arguments); };
}

}  // namespace

const Verb serve_verb{"serve", "Serve modules and functions over HTTP", declare};

}  // namespace berth::cli
