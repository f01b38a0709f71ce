#include "berth/server/serving.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/processors.hpp"
#include "berth/net/http_server.hpp"
#include "berth/process/launch.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/subprocess.hpp"
#include "berth/server/admin_front.hpp"
#include "berth/server/front_rules.hpp"
#include "berth/server/http_front.hpp"
#include "berth/server/remote_keys.hpp"

namespace berth {

namespace {

/// The runtimes as the administrator sees them. Blocks while programs that are new are asked for their version.
std::string runtimes_json(const FunctionSet& set) {
    JsonWriter json;
    json.begin_object().key("runtimes").begin_array();
    const auto runtimes = set.runtimes();
    for (const auto& runtime : runtimes->all()) {
        json.begin_object().member("name", std::string_view(runtime->name)).member("command", std::string_view(runtime->prepare ? runtime->prepare->command : runtime->command)).member("enabled", runtime->enabled);
        json.key("extensions").begin_array();
        for (const auto& extension : runtime->extensions) json.value(std::string_view(extension));
        json.end_array().member("source", std::string_view(runtime->source)).key("path");
        const auto path = set.processes() ? set.processes()->finder().on_path(*runtime) : std::string();
        if (path.empty()) json.null();
        else json.value(std::string_view(path));
        json.key("version");
        const auto version = set.processes() ? set.processes()->finder().version(*runtime) : std::string();
        if (version.empty()) json.null();
        else json.value(std::string_view(version));
        json.end_object();
    }
    json.end_array().end_object();
    return json.take();
}

void remove_journal(const std::filesystem::path& file) {
    std::error_code gone;
    std::filesystem::remove(file, gone);
    std::filesystem::remove_all(file.string() + ".blocks", gone);
}

/// The folder of durable calls, with the journals of these and no others: of the others the records are written.
Result<void> keep_journals_of(const std::filesystem::path& folder, const std::vector<std::string>& calls) {
    std::error_code problem;
    std::filesystem::create_directories(folder, problem);
    if (!problem) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, problem);
    if (problem) return fail(Code::cannot_create, format("the folder of durable calls {} cannot be made: {}", folder.string(), problem.message()));
    std::vector<std::filesystem::path> others;
    for (const auto& entry : std::filesystem::directory_iterator(folder, problem)) {
        if (entry.path().extension() == ".bj" && std::ranges::find(calls, entry.path().stem().string()) == calls.end()) others.push_back(entry.path());
    }
    std::ranges::for_each(others, remove_journal);
    return {};
}

/// Whether a file can be made and removed again in a folder.
bool is_writable(const std::filesystem::path& folder) {
    const auto file = folder / format("health-{}", ::getpid());
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) return false;
    const bool written = ::write(descriptor, "ok", 2) == 2;
    ::close(descriptor);
    return ::unlink(file.c_str()) == 0 && written;
}

/// How many calls of modules and components run and wait at once: as written for their worlds, and before that by flags.
CallBounds bounds_of_guests(const PolicyRequest& policy) {
    auto bounds = default_bounds(EngineKind::wasm);
    const auto take = [&](const Limits& written) {
        if (written.bounds(Limit::concurrency)) bounds.running = written[Limit::concurrency];
        if (written.bounds(Limit::queue)) bounds.waiting = written[Limit::queue];
        if (written.bounds(Limit::queue_wait)) bounds.wait = std::chrono::nanoseconds(written[Limit::queue_wait]);
    };
    for (const auto& [world, limits] : policy.world_limits) {
        if (world != "subprocess") take(limits);
    }
    take(policy.limits);
    return bounds;
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
    if (options_now.policy.deterministic) BERTH_TRYV(serving->functions_->refuse_programs());
    if (options_now.policy.production && !options_now.internal_only) {
        auto problems = serving->functions_->production_problems();
        problems.insert(problems.end(), options_now.production_problems.begin(), options_now.production_problems.end());
        BERTH_TRYV(refuse_in_production(problems));
    }
    serving->notices_ = serving->functions_->notices();
    BERTH_TRYV(serving->make_runtime());
    BERTH_TRYV(serving->make_fronts());
    BERTH_TRYV(serving->open_listeners());
    serving->keeper_ = std::make_unique<FunctionKeeper>(FunctionKeeper::Parts{.functions = *serving->functions_, .runtime = *serving->runtime_, .front = serving->front_->functions(), .log = application.log(),
        .events = *serving->events_, .listener = options_now.news, .watch = options_now.watch});
    serving->host_->set_ready();
    serving->server_->serve();
    if (serving->internal_server_) serving->internal_server_->serve();
    if (serving->admin_server_) serving->admin_server_->serve();
    if (serving->async_) serving->async_->resume();
    return serving;
}

namespace {

constexpr std::uint64_t descriptors_of_a_call = 5;  // three pipes and a handle of the process, its control group
constexpr std::uint64_t descriptors_of_the_host = 64;

/// How many programs may run at once, calls that functions make of each other included, with so many files open.
std::uint64_t calls_that_fit(std::uint64_t open_files, std::optional<std::uint64_t> nested) {
    const auto places = open_files > descriptors_of_the_host ? (open_files - descriptors_of_the_host) / descriptors_of_a_call : 0;
    return std::max<std::uint64_t>(1, nested ? places - std::min(places, *nested) : places / 2);
}

}  // namespace

Result<void> Serving::make_runtime() {
    const auto& functions = options_.functions;
    if (functions.records == FunctionSettings::Records::file) {
        BERTH_TRY(auto* const store, application_.store());
        ExecutionStore::Options options{.store = *store, .clock = application_.clock(), .log = application_.log(), .metrics = application_.metrics(), .retention = functions.records_retention};
        const auto& journals = functions.durable_calls;
        options.forget = [journals](std::string_view id) { remove_journal(journals / (std::string(id) + ".bj")); };
        BERTH_TRY(store_, ExecutionStore::open(std::move(options)));
        BERTH_TRYV(keep_journals_of(journals, store_->interrupted()));
    }
    records_ = std::make_unique<ExecutionRecords>(application_.clock(), functions.record_payloads, store_.get(), &application_.log().redactor());
    auto running = functions.max_concurrency > 0 ? functions.max_concurrency : default_bounds(EngineKind::subprocess).running;
    if (const auto files = raise_open_files(); running > calls_that_fit(files, functions.nested_slots)) {
        const auto wanted = std::exchange(running, calls_that_fit(files, functions.nested_slots));
        application_.log().write(LogLevel::warn, "server", format("functions.max_concurrency is {} instead of {}: this process may have {} files open and a call takes up to {}; raise that limit (ulimit -n, LimitNOFILE)",
                                                                     running, wanted, files, descriptors_of_a_call));
    }
    const auto bounds = [functions, running, of_guests = bounds_of_guests(options_.policy)](EngineKind kind) {
        if (kind != EngineKind::subprocess) return of_guests;
        auto bound = default_bounds(kind);
        bound.running = running;
        bound.waiting = functions.queue_depth;
        bound.nested = functions.nested_slots;
        bound.wait = std::chrono::minutes(5);  // each function says how long its calls wait, at most this
        return bound;
    };
    runtime_ = std::make_unique<Runtime>(Runtime::Setup{.clock = application_.clock(),
                                                        .metrics = application_.metrics(),
                                                        .log = options_.report_failures ? &application_.log() : nullptr,
                                                        .observer = records_.get(),
                                                        .spans = options_.spans,
                                                        .receipts = options_.receipts,
                                                        .receipt_each = options_.receipt_each,
                                                        .reactors = reactors_.get(),
                                                        .bounds = bounds},
                                         functions_->engines());
    const auto cores = usable_processors();
    if (functions.records != FunctionSettings::Records::off) {
        async_ = std::make_unique<AsyncCalls>(AsyncCalls::Parts{.invoker = *runtime_, .records = *records_, .store = store_.get(), .reactors = *reactors_, .log = application_.log(),
                                                                .depth = functions.async_depth, .at_once = std::size_t{4} * cores});
    }
    return {};
}

Result<std::shared_ptr<RemoteKeys>> Serving::keys_for(const AuthSettings& settings) const {
    if (!settings.keys_url) return nullptr;
    if (remote_keys_ && remote_keys_->url() == *settings.keys_url) return remote_keys_;
    BERTH_TRY(auto* const client, application_.host_client());
    return std::make_shared<RemoteKeys>(RemoteKeys::Options{.url = *settings.keys_url}, *client, application_.clock(), application_.log());
}

Result<void> Serving::make_fronts() {
    const auto& functions = options_.functions;
    BERTH_TRY(remote_keys_, keys_for(functions.auth));
    const auto& server = options_.server;
    auto* set = functions_.get();
    authenticator_ = std::make_unique<Authenticator>(Authenticator::Options{.settings = functions.auth, .remote_keys = remote_keys_, .local_is_admin = functions.development && is_loopback_host(server.http.host)}, application_.clock());
    admin_authenticator_ = std::make_unique<Authenticator>(Authenticator::Options{.settings = functions.auth, .remote_keys = remote_keys_, .local_is_admin = is_loopback_host(server.admin.host)}, application_.clock());
    metrics_page_ = std::make_unique<MetricsPage>(application_.metrics(), std::string(berth_version()), std::string(WasmEngine::version()));
    host_ = std::make_unique<HostRoutes>(HostRoutes::Options{.metrics = [this](MetricsForm form) { return metrics_page_->text(form); }, .checks = [this] { return checks(); }});
    events_ = std::make_unique<EventFeed>(application_.clock());
    log_bell_ = std::make_unique<Bell>();
    set->logs().set_listener([this] { log_bell_->ring(); });

    FunctionFrontOptions front;
    front.detail = server.expose_errors ? Detail::exposed : Detail::withheld;
    front.authenticator = authenticator_.get();
    front.records = records_.get();
    front.async = async_.get();
    front.logs = &set->logs();
    front.log_bell = log_bell_.get();
    front.events = events_.get();
    front.tokens = [set]() -> std::shared_ptr<CallTokens> { return set->processes() ? set->processes()->tokens() : nullptr; };
    front.reload = [this] { return keeper_->reload(); };
    front.cancel = [this](std::string_view call) { return runtime_->cancel(call).has_value(); };
    front.stuck = [set] { return set->processes() ? set->processes()->stuck() : std::map<std::string, std::int64_t>(); };
    front.runtimes = [set] { return runtimes_json(*set); };
    using Internal = FunctionSettings::Internal;
    front.internal = functions.internal == Internal::apart ? FunctionFrontOptions::Internal::nobody : functions.internal == Internal::everywhere ? FunctionFrontOptions::Internal::everybody : FunctionFrontOptions::Internal::local;
    front.local_address = server.http.host;
    front.captured = functions.development || functions.process.show_output ? Captured::shown : Captured::withheld;
    front.max_depth = functions.max_depth;
    front.max_body = functions.max_body;
    front.whole_bodies = options_.receipt_each;
    front.usage_headers = server.usage_headers;
    front.expose_trace = server.expose_trace;
    front.ok_for_failures = functions.process.ok_for_failures;
    front.run_as = functions.process.run_as;
    front.payloads = functions.process.payloads;
    front.compresses = server.compress;
    if (!functions.process.state.empty()) front.spool = functions.process.state / "tmp" / std::to_string(::getpid());
    if (functions.internal == Internal::apart) {
        auto own = front;
        own.internal = FunctionFrontOptions::Internal::everybody;
        internal_front_ = std::make_unique<HttpFront>(*runtime_, *host_, HttpFrontOptions{.detail = front.detail, .metrics = false, .metrics_for = nullptr, .functions = std::move(own)});
        internal_front_->functions().set_internal_only();
    }
    front_ = std::make_unique<HttpFront>(*runtime_, *host_, HttpFrontOptions{.detail = front.detail, .metrics = server.metrics == ServerSettings::MetricsOn::main,
                                                                            .metrics_for = server.metrics_need_credential ? authenticator_.get() : nullptr, .functions = std::move(front)});
    if (options_.internal_only) front_->functions().set_internal_only();
    if (!server.admin.on) return {};
    admin_front_ = std::make_unique<AdminFront>(AdminFrontOptions{.host = *host_,
                                                                  .authenticator = *admin_authenticator_,
                                                                  .records = *records_,
                                                                  .logs = set->logs(),
                                                                  .log_bell = *log_bell_,
                                                                  .events = *events_,
                                                                  .log = application_.log(),
                                                                  .metrics = server.metrics != ServerSettings::MetricsOn::off,
                                                                  .reload = [this] { return reload(); },
                                                                  .drain = [this] { host_->drain(); },
                                                                  .in_flight = [this] { return runtime_->in_flight(); },
                                                                  .cancel = [this](std::string_view call) { return runtime_->cancel(call); },
                                                                  .revoke = [this](std::string_view call, Capability capability) { return runtime_->revoke(call, capability); }});
    return {};
}

Result<void> Serving::open_listeners() {
    const auto& server = options_.server;
    if (server.admin.on && !is_loopback_host(server.admin.host) && !options_.functions.auth.has_administrator()) {
        Error error(Code::config_error, format("admin.listen is {}:{}, which others can reach, but nobody can prove to be the administrator", server.admin.host, server.admin.port));
        error.set_fix("set functions.admin_token to the SHA-256 of a token, or listen on 127.0.0.1");
        return fail(std::move(error));
    }
    if (!server.tls.certificate.empty()) {
        BERTH_TRY(tls_, TlsContext::load(server.tls));
    }
    BERTH_TRY(rules_, make_rules(server, access_sink_));
    front_->set_rules(rules_);
    auto http = server.http;
    http.limits.body = options_.functions.max_body;
    http.tls = tls_;
    BERTH_TRY(server_, HttpServer::open(*reactors_, http, *front_, application_.metrics()));
    if (internal_front_) {
        auto own = http;
        own.host = options_.functions.internal_host;
        own.port = options_.functions.internal_port;
        own.tls = nullptr;
        internal_front_->set_rules(rules_);
        BERTH_TRY(internal_server_, HttpServer::open(*reactors_, own, *internal_front_, application_.metrics()) | note([] { return "functions.internal_bind"; }));
    }
    functions_->set_url(options_.functions.public_url.value_or(internal_server_ ? internal_server_->url() : server_->url()));
    if (!admin_front_) return {};
    auto admin = http;
    admin.host = server.admin.host;
    admin.port = server.admin.port;
    admin.limits.body = 1 << 20;
    auto opened = HttpServer::open(*reactors_, admin, *admin_front_, application_.metrics());
    if (!opened && options_.admin_port_may_move && opened.error().code() == Code::cannot_bind) {
        admin.port = 0;
        opened = HttpServer::open(*reactors_, admin, *admin_front_, application_.metrics());
    }
    if (!opened) return fail(std::move(opened.error()));
    admin_server_ = std::move(*opened);
    return {};
}

Result<std::shared_ptr<const FrontRules>> Serving::make_rules(const ServerSettings& settings, std::shared_ptr<QueuedSink>& sink) const {
    const auto& log = settings.access_log;
    auto& dropped = application_.metrics().counters("berth_log_dropped_total", "Log records that their sink did not take.", {"sink"}).at({"access"});
    if (log.to == AccessLogSettings::To::nowhere) {
        sink = nullptr;
    } else if (!sink || !(log == options_.server.access_log)) {
        if (log.to == AccessLogSettings::To::standard_error) {
            sink = QueuedSink::to_descriptor(STDERR_FILENO, dropped);
        } else {
            BERTH_TRY(sink, QueuedSink::to_file(log.file, dropped) | note([] { return "server.access_log"; }));
        }
    }
    if (!FrontRules::any(settings)) return nullptr;
    return std::make_shared<const FrontRules>(FrontRules::Parts{.settings = settings,
                                                                .authenticator = authenticator_.get(),
                                                                .sink = sink,
                                                                .redactor = application_.log().redactor(),
                                                                .clock = application_.clock(),
                                                                .before = rules_.get()});
}

/// What a reload has read and checked, and not yet put in place.
struct Serving::Prepared {
    Reconfigured configuration;
    std::shared_ptr<QueuedSink> sink;
    std::shared_ptr<const FrontRules> rules;
    std::shared_ptr<TlsContext> tls;
    std::shared_ptr<RemoteKeys> remote_keys;
};

Result<Serving::Prepared> Serving::prepare() const {
    Prepared prepared;
    BERTH_TRY(prepared.configuration, options_.reconfigure());
    auto& now = prepared.configuration;
    prepared.sink = access_sink_;
    BERTH_TRY(prepared.rules, make_rules(now.server, prepared.sink));
    BERTH_TRY(prepared.remote_keys, keys_for(now.auth));
    const bool wanted = !now.server.tls.certificate.empty();
    if (wanted && tls_) {
        BERTH_TRY(prepared.tls, TlsContext::load(now.server.tls));
    } else if (wanted != (tls_ != nullptr)) {
        // A listener does not change what it speaks.
        auto& taken = now.change.taken;
        for (const auto* key : {"server.tls.cert", "server.tls.key"}) {
            if (std::erase(taken, key) != 0) now.change.needs_restart.emplace_back(key);
        }
    }
    return prepared;
}

void Serving::commit(Prepared prepared) {
    const bool same_log = prepared.sink == access_sink_;
    access_sink_ = std::move(prepared.sink);
    if (access_sink_ && same_log) {
        if (const auto opened = access_sink_->reopen(); !opened) application_.log().write(LogLevel::warn, "server", opened.error().full_message());
    }
    rules_ = std::move(prepared.rules);
    front_->set_rules(rules_);
    auto& now = prepared.configuration;
    remote_keys_ = std::move(prepared.remote_keys);
    authenticator_->set({.settings = now.auth, .remote_keys = remote_keys_, .local_is_admin = options_.functions.development && is_loopback_host(options_.server.http.host)});
    admin_authenticator_->set({.settings = now.auth, .remote_keys = remote_keys_, .local_is_admin = is_loopback_host(options_.server.admin.host)});
    if (prepared.tls) tls_->take(*prepared.tls);
    options_.server.access_log = now.server.access_log;
}

Task<Result<std::string>> Serving::reload() {
    if (reloading_.exchange(true)) co_return fail(Code::conflict, "a reload is running");
    struct Done {
        std::atomic<bool>& flag;
        ~Done() { flag = false; }
    } done{reloading_};
    std::optional<Prepared> prepared;
    if (options_.reconfigure) {
        auto read = prepare();  // a few small files
        if (!read) co_return fail(std::move(read.error()));
        prepared = std::move(*read);
    }
    const auto policies = prepared ? prepared->configuration.policies : nullptr;
    auto looked = keeper_->reload(policies);
    auto functions = co_await std::move(looked);
    if (!functions) co_return fail(std::move(functions.error()));
    JsonWriter json;
    json.begin_object().member("success", true).key("functions").raw(*functions).key("configuration").begin_object();
    ConfigChange change = prepared ? prepared->configuration.change : ConfigChange{};
    if (policies) {
        for (const auto& [source, digest] : policies->sources) {
            const auto before = options_.policy.sources.find(source);
            const bool same = before != options_.policy.sources.end() && before->second == digest;
            if (!same && std::find(change.taken.begin(), change.taken.end(), source) == change.taken.end()) change.taken.push_back(source);
        }
        options_.policy.written = policies->written;
        options_.policy.sources = policies->sources;
    }
    for (const auto& [word, keys] : {std::pair{"changed", &change.taken}, std::pair{"needs_restart", &change.needs_restart}}) {
        json.key(word).begin_array();
        for (const auto& key : *keys) json.value(std::string_view(key));
        json.end_array();
    }
    json.end_object().end_object();
    if (prepared) commit(std::move(*prepared));
    co_return json.take();
}

void Serving::start_reload(std::function<void(const Result<std::string>&)> done) {
    reloads_.spawn(reactors_->next(), [](Serving& serving, std::function<void(const Result<std::string>&)> done) -> Task<void> {
        const auto outcome = co_await serving.reload();
        done(outcome);
    }(*this, std::move(done)));
}

Task<HostRoutes::Checks> Serving::checks() {
    constexpr auto longest = std::chrono::milliseconds(900);
    HostRoutes::Checks found;
    // Every loop turns: each counts itself, in its own time.
    const auto turned = std::make_shared<std::atomic<unsigned>>(0);
    for (unsigned i = 0; i < reactors_->count(); ++i) reactors_->at(i).call_soon([turned] { turned->fetch_add(1); });
    auto* here = Reactor::current();
    const auto until = std::chrono::steady_clock::now() + longest;
    if (here != nullptr) {
        co_await here->yield();
        while (turned->load() < reactors_->count() && std::chrono::steady_clock::now() < until) co_await here->sleep_for(std::chrono::milliseconds(2));
    }
    found.emplace_back("loops", turned->load() == reactors_->count() ? "ok" : "degraded");
    found.emplace_back("functions", keeper_ && keeper_->failed() ? "degraded" : "ok");
    const auto& state = options_.functions.process.state;
    std::error_code ignored;
    if (functions_->processes() != nullptr && !state.empty() && std::filesystem::is_directory(state, ignored)) found.emplace_back("state", is_writable(state) ? "ok" : "unhealthy");
    co_return found;
}

Serving::~Serving() {
    if (!stopped_ && server_) {
        options_.server.grace = std::chrono::milliseconds(0);
        options_.server.drain_delay = std::chrono::milliseconds(0);
        stop();
    }
}

std::string Serving::url() const { return server_->url(); }
std::string Serving::admin_url() const { return admin_server_ ? admin_server_->url() : std::string(); }
std::vector<FunctionRef> Serving::functions() const { return runtime_->list(); }

bool Serving::stop() {
    stopped_ = true;
    auto grace = options_.server.grace;
    auto* const programs = functions_->processes();
    const auto of_programs = options_.functions.shutdown_grace;
    if (programs != nullptr && programs->active() > 0) grace = std::max(grace, of_programs);
    host_->drain();
    // Not ready, but still there: whoever balances the load takes a moment to notice.
    if (options_.server.drain_delay.count() > 0) sync_wait(reactors_->at(0).sleep_for(options_.server.drain_delay));
    if (async_) async_->stop();
    if (keeper_) keeper_->stop();
    TaskScope ends;  // programs have a time of their own
    if (programs != nullptr && of_programs < grace) ends.spawn(reactors_->at(0), programs->end_after(of_programs));
    const bool clean = sync_wait(server_->close(grace));
    if (internal_server_) sync_wait(internal_server_->close(std::chrono::milliseconds(500)));
    if (admin_server_) sync_wait(admin_server_->close(std::chrono::milliseconds(500)));
    sync_wait(runtime_->close(grace));
    sync_wait(ends.join());
    if (async_) sync_wait(async_->close());
    records_->close();
    sync_wait(reloads_.join());
    functions_->logs().set_listener({});
    return clean;
}

}  // namespace berth
