#include <CLI/CLI.hpp>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/fn_verb.hpp"
#include "berth/cli/interrupt.hpp"

namespace berth::cli {

namespace {

struct Arguments {
    std::string root, host, port;
    bool no_watch = false;
};

std::string clock_time() { return timestamp(std::chrono::system_clock::now()).substr(11, 8); }

/// One line of the console: time, what, which function, and the rest.
void print_news(Console& console, std::mutex& mutex, std::string_view what, std::string_view function, std::string_view text) {
    const auto end = text.find('\n');
    auto lines = format("{}  {:<8}  {:<8} {}\n", clock_time(), what, function, terminal_safe(text.substr(0, end)));
    if (end != std::string_view::npos) {
        auto rest = text.substr(end + 1);
        while (!rest.empty()) {
            const auto next = rest.find('\n');
            lines += format("          {}\n", terminal_safe(rest.substr(0, next)));
            rest.remove_prefix(next == std::string_view::npos ? rest.size() : next + 1);
        }
    }
    const std::lock_guard lock(mutex);
    console.print(lines);
}

std::string counted(const std::vector<FunctionRef>& functions) {
    std::map<FunctionState, std::size_t> counts;
    for (const auto& function : functions) ++counts[function->state];
    std::string text;
    for (const auto& [state, count] : counts) {
        std::string word(name(state));
        std::replace(word.begin(), word.end(), '_', ' ');
        text += format("{}{} {}", text.empty() ? "" : ", ", count, word);
    }
    return functions.empty() ? "0" : format("{} ({})", functions.size(), text);
}

Result<int> dev(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    std::mutex mutex, output;
    std::condition_variable wake;
    bool stop = false;
    std::atomic<bool> serving_now{false};
    const Interrupt interrupt([&](int signal) {
        if (!serving_now.load()) ::_exit(128 + signal);
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
    BERTH_TRY(const auto configured, context.configuration());
    if (configured.value("environment") == "production") return fail(Code::config_error, "berth fn dev is for development; serve production with berth serve");
    BERTH_TRY(auto application_options, context.application_options());
    if (!console.verbose) application_options.log_level = LogLevel::error;  // the console shows what functions log in its own form
    BERTH_TRY(const auto application, Application::create(std::move(application_options)));
    BERTH_TRY(auto options, fn_serve_options(context, *application, arguments.root));
    BERTH_TRY(options.server, ServerSettings::from(configured));
    BERTH_TRY(const auto grace, parse_duration(configured.value("server.grace")));
    options.grace = std::chrono::duration_cast<std::chrono::milliseconds>(grace);
    options.watch = !arguments.no_watch;
    options.expose_errors = true;
    options.report_failures = console.verbose;
    options.news = [&](const FunctionKeeper::News& news) { print_news(console, output, news.what, news.function, news.text); };
    const auto root = options.paths.front();
    BERTH_TRY(const auto serving, Serving::start(*application, std::move(options), console.progress()));
    serving_now = true;
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.listening").member("url", std::string_view(serving->url())).end_object();
        console.line(json.text());
    } else {
        console.line("Listening on " + serving->url());
        console.line(format("functions  {}: {}", root.is_absolute() || root.string().starts_with('.') ? root.string() : "./" + root.string(), counted(serving->functions())));
        const auto words = runtime_words(serving->function_set());
        if (!words.present.empty() || !words.missing.empty()) console.line(format("runtimes   {}{}{}", words.present, words.missing.empty() ? "" : words.present.empty() ? "missing: " : " | missing: ", words.missing));
        const auto* processes = serving->function_set().processes();
        const bool cgroup = processes && processes->tree_level() == TreeLevel::cgroup;
        console.line(format("tree kill  {:<8}  memory  {:<8}  sandbox  not offered by this build", cgroup ? "cgroup" : "group", cgroup && processes->groups()->has_memory() ? "cgroup" : "sampler"));
    }
    for (const auto& notice : serving->notices()) print_news(console, output, "notice", "", notice);
    serving->function_set().logs().set_sink([&](const FunctionLogEntry& one) { print_news(console, output, one.source == "stderr" ? "stderr" : "log", one.function, log_line(one.entry)); });
    serving->set_call_listener([&](const Call& call, const Outcome& outcome) {
        const auto status = outcome.error ? static_cast<int>(row(outcome.error->code()).http) : 200;
        print_news(console, output, "call", call.function, format("{}  {} ms  {}", status, std::chrono::duration_cast<std::chrono::milliseconds>(outcome.timing.total).count(), call.request_id));
    });
    {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stop; });
    }
    const bool clean = serving->stop();
    serving->function_set().logs().set_sink({});
    if (Interrupt::seen() == SIGINT) return 130;
    return clean ? 0 : 75;
}

}  // namespace

void declare_fn_dev(CLI::App& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("dir", arguments->root, "folder of functions (functions.path)")->type_name("DIR");
    app.add_option("--host", arguments->host, "address (127.0.0.1)")->type_name("ADDRESS");
    app.add_option("--port", arguments->port, "port; 0: a free one (8080)")->type_name("PORT");
    app.add_flag("--no-watch", arguments->no_watch, "do not look at files; POST /api/functions/reload does");
    add_config_flags(app, context);
    run = [&context, arguments] { return dev(context, *arguments); };
}

}  // namespace berth::cli
