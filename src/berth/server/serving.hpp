#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/function_set.hpp"
#include "berth/app/server_settings.hpp"
#include "berth/runtime/execution_records.hpp"
#include "berth/server/async_calls.hpp"
#include "berth/server/authenticator.hpp"
#include "berth/server/function_keeper.hpp"

namespace berth {

class FrontRules;
class HttpFront;
class HttpServer;
class QueuedSink;
class ReceiptWriter;
class Reactors;
class Runtime;

struct ServeOptions {
    std::vector<std::filesystem::path> paths;  // folders of functions, or single files
    PolicyRequest policy;
    FunctionSettings functions;
    bool missing_is_empty = false;             // a path that does not exist is a notice, not a failure
    ServerSettings server;
    std::chrono::milliseconds grace{10'000};   // for running calls at shutdown
    bool expose_errors = false;
    bool watch = false;                        // look again whenever a file of the functions changes
    bool report_failures = true;               // failed calls and what functions log go to the host's log
    bool internal_only = false;                // nothing but the internal API for functions that run
    CallObserver* spans = nullptr;             // told of every step of every call; outlives the server. Null: calls get no spans
    const ReceiptWriter* receipts = nullptr;   // likewise. Null: no receipts are written
    bool receipt_each = false;                 // every call gets one, not only those of functions that want it
    FunctionKeeper::Listener news;             // told what happens to the functions, on a thread of its own
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
    std::vector<FunctionRef> functions() const;
    std::vector<std::string> notices() const;  // what a person should know about the start

    /// Refuses new work, lets running calls end within the grace, then ends them. True when none had to be ended.
    bool stop();

    /// Told of each call that has ended.
    void set_call_listener(ExecutionRecords::Listener listener) { records_->set_listener(std::move(listener)); }

    Runtime& runtime() noexcept { return *runtime_; }
    FunctionSet& function_set() noexcept { return *functions_; }

private:
    Serving(Application& application, ServeOptions options);

    /// Makes the rules of the front from these settings.
    Result<void> set_rules(const ServerSettings& settings);

    Application& application_;
    ServeOptions options_;
    std::unique_ptr<Reactors> reactors_;
    std::unique_ptr<FunctionSet> functions_;  // before the reactors go
    std::unique_ptr<ExecutionRecords> records_;
    std::unique_ptr<Runtime> runtime_;
    std::unique_ptr<Authenticator> authenticator_;
    std::unique_ptr<AsyncCalls> async_;
    std::unique_ptr<HttpFront> front_;
    std::unique_ptr<HttpServer> server_;
    std::unique_ptr<FunctionKeeper> keeper_;
    std::shared_ptr<QueuedSink> access_sink_;           // with the rules that write to it
    std::shared_ptr<const FrontRules> rules_;           // with the front, while requests are under them
    bool stopped_ = false;
};

}  // namespace berth
