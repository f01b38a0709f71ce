#include "berth/server/serving.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/net/http_server.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/subprocess.hpp"
#include "berth/server/front_rules.hpp"
#include "berth/server/http_front.hpp"

namespace berth {

namespace {

/// The runtimes as the administrator sees them. Versions are those that are known without asking anybody.
std::string runtimes_json(const FunctionSet& set) {
    JsonWriter json;
    json.begin_object().key("runtimes").begin_array();
    for (const auto& runtime : set.request().settings.discovery.runtimes->all()) {
        json.begin_object().member("name", std::string_view(runtime->name)).member("command", std::string_view(runtime->prepare ? runtime->prepare->command : runtime->command)).member("enabled", runtime->enabled);
        json.key("extensions").begin_array();
        for (const auto& extension : runtime->extensions) json.value(std::string_view(extension));
        json.end_array().member("source", std::string_view(runtime->source)).key("path");
        const auto path = set.processes() ? set.processes()->finder().on_path(*runtime) : std::string();
        if (path.empty()) json.null();
        else json.value(std::string_view(path));
        json.end_object();
    }
    json.end_array().end_object();
    return json.take();
}

}  // namespace

Serving::Serving(Application& application, ServeOptions options) : application_(application), options_(std::move(options)) {}

Result<std::unique_ptr<Serving>> Serving::start(Application& application, ServeOptions options, Progress& progress) {
    std::unique_ptr<Serving> serving(new Serving(application, std::move(options)));
    auto& options_now = serving->options_;
    serving->reactors_ = Reactors::start();
    // Everything is found and compiled before the port answers, so that the first request waits for nothing.
    FunctionSet::Request request{.paths = options_now.paths, .policy = options_now.policy, .settings = options_now.functions, .missing_is_empty = options_now.missing_is_empty};
    BERTH_TRY(serving->functions_, FunctionSet::find(application, std::move(request), *serving->reactors_, progress));
    const auto& functions = options_now.functions;
    const auto cores = std::max(1U, std::thread::hardware_concurrency());
    serving->records_ = std::make_unique<ExecutionRecords>(application.clock(), functions.record_payloads);
    const auto bounds = [functions](EngineKind kind) {
        auto bound = default_bounds(kind);
        if (kind != EngineKind::subprocess) return bound;
        if (functions.max_concurrency > 0) bound.running = functions.max_concurrency;
        bound.waiting = functions.queue_depth;
        return bound;
    };
    serving->runtime_ = std::make_unique<Runtime>(Runtime::Setup{.clock = application.clock(),
                                                                 .metrics = application.metrics(),
                                                                 .log = options_now.report_failures ? &application.log() : nullptr,
                                                                 .observer = serving->records_.get(),
                                                                 .spans = options_now.spans,
                                                                 .receipts = options_now.receipts,
                                                                 .receipt_each = options_now.receipt_each,
                                                                 .reactors = serving->reactors_.get(),
                                                                 .bounds = bounds},
                                                  serving->functions_->engines());
    const bool loopback = options_now.server.http.host == "127.0.0.1" || options_now.server.http.host == "::1" || options_now.server.http.host == "localhost";
    serving->authenticator_ = std::make_unique<Authenticator>(Authenticator::Options{.jwt_secret = functions.jwt_secret,
                                                                                      .admin_digest = functions.admin_token,
                                                                                      .default_mode = functions.auth_mode,
                                                                                      .local_is_admin = functions.development && loopback},
                                                              application.clock());
    serving->async_ = std::make_unique<AsyncCalls>(*serving->runtime_, *serving->records_, *serving->reactors_, functions.async_depth, std::size_t{4} * cores);
    auto* set = serving->functions_.get();
    auto* whole = serving.get();
    FunctionFrontOptions front;
    front.detail = options_now.expose_errors ? Detail::exposed : Detail::withheld;
    front.authenticator = serving->authenticator_.get();
    front.records = serving->records_.get();
    front.async = serving->async_.get();
    front.logs = &set->logs();
    front.tokens = [set]() -> std::shared_ptr<CallTokens> { return set->processes() ? set->processes()->tokens() : nullptr; };
    front.reload = [whole] { return whole->keeper_->reload(); };
    front.runtimes = [set] { return runtimes_json(*set); };
    front.max_body = functions.max_body;
    front.usage_headers = options_now.server.usage_headers;
    front.expose_trace = options_now.server.expose_trace;
    front.ok_for_failures = functions.process.ok_for_failures;
    if (!functions.process.state.empty()) front.spool = functions.process.state / "tmp" / std::to_string(::getpid());
    serving->front_ = std::make_unique<HttpFront>(*serving->runtime_,
                                                  HttpFrontOptions{.detail = options_now.expose_errors ? Detail::exposed : Detail::withheld,
                                                                   .metrics_text = [&application] { return application.metrics().prometheus_text(); },
                                                                   .checks = [] { return std::vector<std::pair<std::string, std::string>>{}; },
                                                                   .functions = std::move(front)});
    if (options_now.internal_only) serving->front_->functions().set_internal_only();
    BERTH_TRYV(serving->set_rules(options_now.server));
    auto http = options_now.server.http;
    http.limits.body = functions.max_body;
    BERTH_TRY(serving->server_, HttpServer::open(*serving->reactors_, http, *serving->front_, application.metrics()));
    serving->functions_->set_url(functions.public_url.value_or(serving->server_->url()));
    serving->keeper_ = std::make_unique<FunctionKeeper>(FunctionKeeper::Parts{.functions = *set, .runtime = *serving->runtime_, .front = serving->front_->functions(), .log = application.log(), .listener = options_now.news,
        .watch = options_now.watch});
    serving->front_->set_ready();
    serving->server_->serve();
    return serving;
}

Result<void> Serving::set_rules(const ServerSettings& settings) {
    const auto& log = settings.access_log;
    auto& dropped = application_.metrics().counters("berth_log_dropped_total", "Log records that their sink did not take.", {"sink"}).at({"access"});
    auto sink = access_sink_;
    if (log.to == AccessLogSettings::To::nowhere) {
        sink = nullptr;
    } else if (!sink || !(log == options_.server.access_log)) {
        if (log.to == AccessLogSettings::To::standard_error) {
            sink = QueuedSink::to_descriptor(STDERR_FILENO, dropped);
        } else {
            BERTH_TRY(sink, QueuedSink::to_file(log.file, dropped) | note([] { return "server.access_log"; }));
        }
    }
    access_sink_ = std::move(sink);
    auto rules = FrontRules::any(settings) ? std::make_shared<const FrontRules>(FrontRules::Parts{.settings = settings,
                                                                                                  .authenticator = authenticator_.get(),
                                                                                                  .sink = access_sink_,
                                                                                                  .redactor = application_.log().redactor(),
                                                                                                  .clock = application_.clock(),
                                                                                                  .metrics = application_.metrics(),
                                                                                                  .before = rules_.get()})
                                           : nullptr;
    rules_ = rules;
    front_->set_rules(std::move(rules));
    return {};
}

Serving::~Serving() {
    if (!stopped_ && server_) {
        options_.grace = std::chrono::milliseconds(0);
        stop();
    }
}

std::string Serving::url() const { return server_->url(); }
std::vector<FunctionRef> Serving::functions() const { return runtime_->list(); }
std::vector<std::string> Serving::notices() const { return functions_->notices(); }

bool Serving::stop() {
    stopped_ = true;
    front_->drain();
    keeper_->stop();
    const bool clean = sync_wait(server_->close(options_.grace));
    sync_wait(runtime_->close(options_.grace));
    sync_wait(async_->close());
    return clean;
}

}  // namespace berth
