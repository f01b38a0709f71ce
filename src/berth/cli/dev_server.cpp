#include "berth/cli/dev_server.hpp"

#include <mutex>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/fn_verb.hpp"
#include "berth/cli/server_signals.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {

namespace {

constexpr std::string_view usual_admin = "127.0.0.1:9090";

std::string clock_time() { return timestamp(std::chrono::system_clock::now()).substr(11, 8); }

/// What changes while functions are served, one line each: time, what, which function, and the rest. Lines that come before the greeting are kept until it was
/// printed, so that "Listening on" is always the first line. Any thread.
class NewsConsole {
public:
    explicit NewsConsole(Console& console) : console_(console) {}

    void print(std::string_view what, std::string_view function, std::string_view text) {
        const auto end = text.find('\n');
        auto lines = format("{}  {:<8}  {:<8} {}", clock_time(), what, function, terminal_safe(text.substr(0, end)));
        lines.erase(lines.find_last_not_of(' ') + 1);
        lines += '\n';
        if (end != std::string_view::npos) {
            auto rest = text.substr(end + 1);
            while (!rest.empty()) {
                const auto next = rest.find('\n');
                lines += format("          {}\n", terminal_safe(rest.substr(0, next)));
                rest.remove_prefix(next == std::string_view::npos ? rest.size() : next + 1);
            }
        }
        const std::lock_guard lock(mutex_);
        if (greeted_) return console_.print(lines);
        kept_ += lines;
    }

    /// The first lines, and what came before them. Once.
    void greet(std::string_view lines) {
        const std::lock_guard lock(mutex_);
        greeted_ = true;
        console_.print(lines);
        if (!kept_.empty()) console_.print(std::exchange(kept_, {}));
    }

private:
    Console& console_;
    std::mutex mutex_;
    std::string kept_;
    bool greeted_ = false;
};

std::string counted(const std::vector<FunctionRef>& functions) { return functions.empty() ? "0" : format("{} ({})", functions.size(), state_words(functions)); }

/// What is served where, and how its processes are held: the first lines of `berth dev`.
std::string greeting(const Serving& serving, const std::filesystem::path& root, Format shape) {
    if (shape == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.listening").member("url", std::string_view(serving.url())).end_object();
        return json.text() + "\n";
    }
    auto lines = format("Listening on {}\n", serving.url());
    lines += format("functions  {}: {}\n", root.is_absolute() || root.string().starts_with('.') ? root.string() : "./" + root.string(), counted(serving.functions()));
    const auto words = runtime_words(serving.function_set());
    if (!words.present.empty() || !words.missing.empty()) lines += format("runtimes   {}{}{}\n", words.present, words.missing.empty() ? "" : words.present.empty() ? "missing: " : " | missing: ", words.missing);
    const auto* processes = serving.function_set().processes();
    const bool cgroup = processes && processes->tree_level() == TreeLevel::cgroup;
    lines += format("tree kill  {}    memory  {}    sandbox  not offered by this build\n", cgroup ? "cgroup" : "group", cgroup && processes->groups()->has_memory() ? "cgroup" : "sampler");
    return lines;
}

}  // namespace

std::function<Result<Reconfigured>()> reconfigure(const Context& context, Application& application, std::string default_admin) {
    return [&context, &application, default_admin = std::move(default_admin)]() -> Result<Reconfigured> {
        BERTH_TRY(const auto before, context.configuration());
        BERTH_TRY(const auto now, context.read_configuration());
        Reconfigured read;
        BERTH_TRY(read.server, ServerSettings::from(now, default_admin));
        BERTH_TRY(auto functions, FunctionSettings::from(now, application));
        read.auth = std::move(functions.auth);
        BERTH_TRY(auto policies, context.policy_request(now));
        read.policies = std::make_shared<const PolicyRequest>(std::move(policies));
        read.change = config_change(before, now);
        return read;
    };
}

Result<void> record_calls(const Context& context, ApplicationOptions& options) {
    options.record_folder = context.record;
    if (context.record.empty()) return {};
    std::error_code error;
    std::filesystem::create_directories(context.record, error);
    if (error) return fail(Code::cannot_create, format("{} cannot be made: {}", context.record, error.message()));
    return {};
}

void add_dev_flags(CommandLine& app, Context& context, DevArguments& arguments) {
    app.add_option("dir", arguments.root, "folder of functions (functions.path)")->type_name("DIR");
    app.add_option("--host", arguments.host, "address (127.0.0.1)")->type_name("ADDRESS");
    app.add_option("--port", arguments.port, "port; 0: a free one (8080)")->type_name("PORT");
    app.add_flag("--no-watch", arguments.no_watch, "do not look at files; POST /api/functions/reload does");
    app.add_option("--record", context.record, "folder for the journal of every call")->envname("BERTH_RECORD")->type_name("DIR");
    add_guest_flags(app, context);
}

Result<int> run_dev(Context& context, const DevArguments& arguments) {
    auto& console = context.console;
    ServerSignals signals;
    NewsConsole news(console);
    context.set_flag("server.host", "--host", arguments.host);
    context.set_flag("server.port", "--port", arguments.port);
    context.set_flag("functions.isolation", "--isolation", context.isolation);
    context.serves = true;
    BERTH_TRY(const auto configured, context.configuration());
    if (configured.value("environment") == "production") return fail(Code::config_error, "berth dev is for development; serve production with berth serve");
    BERTH_TRY(auto application_options, context.application_options());
    BERTH_TRYV(record_calls(context, application_options));
    if (!console.verbose) application_options.log_level = LogLevel::error;  // the console shows what functions log in its own form
    BERTH_TRY(const auto application, Application::create(std::move(application_options)));
    BERTH_TRY(auto options, fn_serve_options(context, *application, arguments.root));
    BERTH_TRY(options.server, ServerSettings::from(configured, usual_admin));
    options.admin_port_may_move = configured.value("admin.listen").empty();
    const auto wanted_admin = format("http://{}:{}", options.server.admin.host, options.server.admin.port);
    options.watch = !arguments.no_watch;
    options.server.expose_errors = true;
    options.report_failures = console.verbose;
    options.reconfigure = reconfigure(context, *application, std::string(usual_admin));
    options.news = [&](const FunctionKeeper::News& one) { news.print(one.what, one.function, one.text); };
    const auto root = options.paths.front();
    BERTH_TRY(const auto serving, Serving::start(*application, std::move(options), console.progress()));
    signals.serving([&] {
        serving->start_reload([&](const Result<std::string>& done) { news.print("reload", "", done ? std::string_view("done") : std::string_view(done.error().full_message())); });
    });
    news.greet(greeting(*serving, root, console.format));
    for (const auto& notice : serving->notices()) news.print("notice", "", notice);
    serving->function_set().logs().set_sink([&](const FunctionLogEntry& one) { news.print(one.source == "stderr" ? "stderr" : "log", one.function, log_line(one.entry)); });
    serving->set_call_listener([&](const Call& call, const Outcome& outcome) {
        const auto status = outcome.error ? static_cast<int>(row(outcome.error->code()).http) : 200;
        news.print("call", call.function, format("{}  {} ms  {}", status, std::chrono::duration_cast<std::chrono::milliseconds>(outcome.timing.total).count(), call.request_id));
    });
    const auto admin = serving->admin_url();
    console.notice(format("administrator {}{}", admin, admin == wanted_admin ? "" : format(" ({} was taken)", wanted_admin)));
    signals.wait();
    signals.stop_reloading();
    const bool clean = serving->stop();
    serving->function_set().logs().set_sink({});
    return ServerSignals::status(clean);
}

namespace {

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<DevArguments>();
    add_dev_flags(app, context, *arguments);
    run = [&context, arguments] { return run_dev(context, *arguments); };
}

}  // namespace

const Verb dev_verb{"dev", "Serve functions, watch them and say what changes", declare};

void declare_fn_dev(CommandLine& app, Context& context, std::function<Result<int>()>& run) { declare(app, context, run); }

}  // namespace berth::cli
