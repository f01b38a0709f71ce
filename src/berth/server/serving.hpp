#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/function_set.hpp"
#include "berth/app/config_change.hpp"
#include "berth/app/server_settings.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/runtime/execution_records.hpp"
#include "berth/server/async_calls.hpp"
#include "berth/server/authenticator.hpp"
#include "berth/server/event_feed.hpp"
#include "berth/server/function_keeper.hpp"
#include "berth/server/host_routes.hpp"

namespace berth {

class FrontRules;
class HttpFront;
class HttpServer;
class AdminFront;
class MetricsPage;
class QueuedSink;
class ReceiptWriter;
class RemoteKeys;
class Reactors;
class TlsContext;
class Runtime;

/// The configuration as it is now, for a server that runs.
struct Reconfigured {
    ServerSettings server;
    AuthSettings auth;
    ConfigChange change;
    std::shared_ptr<const PolicyRequest> policies;  // what is written now, with who puts it in place; null: as it was
};

struct ServeOptions {
    std::vector<std::filesystem::path> paths;  // folders of functions, or single files
    PolicyRequest policy;
    FunctionSettings functions;
    bool missing_is_empty = false;             // a path that does not exist is a notice, not a failure
    ServerSettings server;
    std::vector<std::string> production_problems;  // that are known already; told with those of the functions
    bool admin_port_may_move = false;          // a taken port of the administrator's listener is exchanged for a free one
    bool watch = false;                        // look again whenever a file of the functions changes
    bool report_failures = true;               // failed calls and what functions log go to the host's log
    bool internal_only = false;                // nothing but the internal API for functions that run
    CallObserver* spans = nullptr;             // told of every step of every call; outlives the server. Null: calls get no spans
    const ReceiptWriter* receipts = nullptr;   // likewise. Null: no receipts are written
    bool receipt_each = false;                 // every call gets one, not only those of functions that want it
    FunctionKeeper::Listener news;             // told what happens to the functions, on a thread of its own
    /// Reads the configuration again; empty: a reload only looks at the functions.
    std::function<Result<Reconfigured>()> reconfigure;
};

/// A running server: functions found and compiled, behind one HTTP front. Made by `start`, which returns when requests
/// are answered; stopped by `stop`, or by the destructor without grace.
class Serving {
public:
    static Result<std::unique_ptr<Serving>> start(Application& application, ServeOptions options, Progress& progress);
    ~Serving();
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;

    std::string url() const;
    /// Of the administrator's listener; empty: there is none.
    std::string admin_url() const;
    std::vector<FunctionRef> functions() const;
    const std::vector<std::string>& notices() const noexcept { return notices_; }  // what a person should know about the start

    /// Refuses new work, lets running calls end within the grace, then ends them. True when none had to be ended.
    bool stop();

    /// Reads the configuration and the functions again, all or nothing; what changed, as JSON. In a reactor.
    Task<Result<std::string>> reload();
    /// The same from outside: started at once, its outcome is told to `done` on a thread of the server.
    void start_reload(std::function<void(const Result<std::string>&)> done);

    /// Told of each call that has ended.
    void set_call_listener(ExecutionRecords::Listener listener) { records_->set_listener(std::move(listener)); }

    Runtime& runtime() noexcept { return *runtime_; }
    FunctionSet& function_set() const noexcept { return *functions_; }

private:
    Serving(Application& application, ServeOptions options);

    struct Prepared;
    Result<void> make_runtime();
    Result<void> make_fronts();
    Result<void> open_listeners();
    /// The rules of the front under these settings; null where nothing is on.
    Result<std::shared_ptr<const FrontRules>> make_rules(const ServerSettings& settings, std::shared_ptr<QueuedSink>& sink) const;
    /// The issuer's keys under these settings: those that are there already when they are at the same address.
    Result<std::shared_ptr<RemoteKeys>> keys_for(const AuthSettings& settings) const;
    Result<Prepared> prepare() const;
    void commit(Prepared prepared);
    Task<HostRoutes::Checks> checks();

    Application& application_;
    ServeOptions options_;
    std::unique_ptr<Reactors> reactors_;
    std::unique_ptr<FunctionSet> functions_;  // before the reactors go; looked at again by the keeper's thread
    std::vector<std::string> notices_;        // of the first look
    std::unique_ptr<ExecutionStore> store_;   // null: records are in memory only
    std::unique_ptr<ExecutionRecords> records_;
    std::unique_ptr<Runtime> runtime_;
    std::shared_ptr<RemoteKeys> remote_keys_;           // null: none are at an address; with the settings of the authenticators
    std::unique_ptr<Authenticator> authenticator_;
    std::unique_ptr<Authenticator> admin_authenticator_;   // of the administrator's listener
    std::unique_ptr<MetricsPage> metrics_page_;
    std::unique_ptr<HostRoutes> host_;
    std::unique_ptr<EventFeed> events_;
    std::unique_ptr<Bell> log_bell_;
    std::unique_ptr<AsyncCalls> async_;
    std::unique_ptr<HttpFront> front_;
    std::unique_ptr<HttpFront> internal_front_;      // null: running functions come to the server's
    std::unique_ptr<AdminFront> admin_front_;
    std::shared_ptr<TlsContext> tls_;                   // with the listeners
    std::unique_ptr<HttpServer> server_;
    std::unique_ptr<HttpServer> admin_server_;
    std::unique_ptr<HttpServer> internal_server_;    // null: as above
    std::unique_ptr<FunctionKeeper> keeper_;
    std::shared_ptr<QueuedSink> access_sink_;           // with the rules that write to it
    std::shared_ptr<const FrontRules> rules_;           // with the front, while requests are under them
    TaskScope reloads_;
    std::atomic<bool> reloading_{false};
    bool stopped_ = false;
};

}  // namespace berth
