#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "berth/async/offload.hpp"
#include "berth/async/payload_memory.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/call_tokens.hpp"
#include "berth/runtime/execution_records.hpp"
#include "berth/runtime/function_logs.hpp"
#include "berth/runtime/invoker.hpp"
#include "berth/server/async_calls.hpp"
#include "berth/server/authenticator.hpp"
#include "berth/server/envelope.hpp"
#include "berth/server/event_feed.hpp"
#include "berth/server/function_routes.hpp"
#include "berth/server/large_payload.hpp"

namespace berth {

struct LaunchUser;

/// What the routes of functions need. What is null or empty has no routes. References outlive the front.
struct FunctionFrontOptions {
    Detail detail = Detail::withheld;
    const Authenticator* authenticator = nullptr;   // null: everybody may call, nobody is the administrator
    ExecutionRecords* records = nullptr;
    AsyncCalls* async = nullptr;
    FunctionLogs* logs = nullptr;
    Bell* log_bell = nullptr;                              // rings for each new entry of the logs
    EventFeed* events = nullptr;                           // what happens to functions
    std::function<std::shared_ptr<CallTokens>()> tokens;   // of running calls; empty: no internal API
    std::function<Task<Result<std::string>>()> reload;     // looks for functions again, answers with what changed as JSON
    std::function<bool(std::string_view call)> cancel;     // ends a call that runs; false: it does not any more
    std::function<std::string()> runtimes;                 // as JSON; may block, and is never called in a reactor
    /// Who may reach the internal API here, with a token: nobody, programs on this machine, or everybody.
    enum class Internal : std::uint8_t { nobody, local, everybody };
    Internal internal = Internal::local;
    std::string local_address;                             // of the listener: what comes from it is of this machine too
    std::uint64_t max_depth = 8;                           // of functions that call each other
    std::uint64_t max_body = 10 << 20;                     // of a call, decompressed
    bool ok_for_failures = false;                          // functions that say nothing: their failures answer 200
    Captured captured = Captured::withheld;                // what failed programs wrote, to callers who are no administrators
    bool usage_headers = false;                            // answers say what their calls used
    bool expose_trace = false;                             // answers carry the trace context of their calls
    bool whole_bodies = false;                             // no body comes or goes in parts: each call gets a receipt, which names the whole
    std::shared_ptr<const LaunchUser> run_as;  // who reads them; null: the host's user
    std::filesystem::path spool;                           // where uploaded files may lie; empty: nowhere
    std::function<std::map<std::string, std::int64_t>()> stuck;  // processes that survive their kill, by function; empty: there are none
    std::shared_ptr<PayloadMemory> payloads;               // that large bodies of programs count in, with the programs' engine; null: they come whole
    bool compresses = false;                               // answers are compressed for those who accept it: then they are whole
};

/// The routes of functions: calls, listings, records, logs, and the internal API for functions that run.
///
/// Safe from any thread.
class FunctionFront {
public:
    FunctionFront(Invoker& invoker, FunctionFrontOptions options);

    /// The answer when this path is one of functions, nothing otherwise. `draining`: nothing new is started.
    std::optional<Task<HttpResponse>> handle(HttpRequest& request, bool draining);
    /// The answer of a component whose mount holds this path; asked when nothing else is served there.
    std::optional<Task<HttpResponse>> handle_mounted(HttpRequest& request, bool draining);
    /// Takes the routes of the functions there are now.
    void refresh();
    /// Only the internal API answers.
    void set_internal_only() noexcept { internal_only_ = true; }

private:
    struct Asked;
    /// What a route knows of the call that it makes.
    struct Started {
        Trigger trigger;
        Captured captured;                            // for this caller
        std::shared_ptr<const AuthSubject> auth = {};  // null: anonymous; shared with the call
        std::optional<FunctionRoutes::Match> route = {};  // of a manifest; nothing: the path names the function
    };
    Task<HttpResponse> function_route(HttpRequest& request, std::string_view name, bool draining);
    Task<HttpResponse> manifest_route(HttpRequest& request, FunctionRoutes::Match match, bool draining);
    Task<HttpResponse> mounted(HttpRequest& request, FunctionRef function, bool draining);
    Task<HttpResponse> internal(HttpRequest& request, bool draining);
    Task<HttpResponse> run(HttpRequest& request, FunctionRef function, Started started);
    Task<HttpResponse> reload(HttpRequest& request);
    HttpResponse admin_route(HttpRequest& request, std::string_view path);
    Task<HttpResponse> runtimes_route(HttpRequest& request);
    Task<HttpResponse> records_route(HttpRequest& request);
    HttpResponse list(bool admin) const;
    HttpResponse describe(const Function& function, bool admin) const;
    HttpResponse stats() const;
    HttpResponse executions(const HttpRequest& request, std::string_view function, const Authenticator::Caller& caller) const;
    FunctionRef mounted_at(std::string_view path) const;
    Task<Result<void>> take_body(HttpRequest& request, const Function& function) const;
    Task<Result<std::shared_ptr<PayloadBuffer>>> take_large(HttpRequest& request, Payload& input, BodyAs as);
    Result<Authenticator::Caller> admin(const HttpRequest& request) const;
    HttpResponse refuse(const HttpRequest& request, const Error& error, std::string details = {}, std::string_view spelled = {}) const;
    /// What is not found and is no function.
    HttpResponse refuse_path(const HttpRequest& request, std::string message) const { return refuse(request, Error(Code::not_found, std::move(message)), {}, "NOT_FOUND"); }

    Invoker& invoker_;
    FunctionFrontOptions options_;
    bool internal_only_ = false;
    GuestProfile looking_;  // how long it takes to look into the records
    mutable std::mutex mutex_;
    std::shared_ptr<const FunctionRoutes> routes_;  // guarded by mutex_; with requests that look into it
};

}  // namespace berth
