#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "berth/capability/capability.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/execution_records.hpp"
#include "berth/runtime/function_logs.hpp"
#include "berth/server/authenticator.hpp"
#include "berth/server/event_feed.hpp"
#include "berth/server/host_routes.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

/// What the administrator's routes act on. References outlive the front.
struct AdminFrontOptions {
    HostRoutes& host;
    const Authenticator& authenticator;         // says who is the administrator
    ExecutionRecords& records;
    const FunctionLogs& logs;
    Bell& log_bell;
    EventFeed& events;
    Log& log;                                   // what the administrator does is written there
    bool metrics = true;
    std::function<Task<Result<std::string>>()> reload;   // configuration and functions; what changed, as JSON
    std::function<void()> drain;
    std::function<std::uint64_t()> in_flight;
    /// Ends a call that the records cannot end. Fails with not_found when it has ended.
    std::function<Result<void>(std::string_view call)> cancel;
    /// Takes a capability away from a running call; false: it did not hold it. Empty: not offered.
    std::function<Result<bool>(std::string_view call, Capability capability)> revoke;
};

/// The administrator's listener:
///
///     GET    /health…, /metrics
///     GET    /admin/calls[?status=&function=&request_id=&limit=], /admin/calls/{id}
///     DELETE /admin/calls/{id}, POST /admin/calls/{id}/cancel
///     POST   /admin/calls/{id}/revoke  {"capability": "net.fetch"}
///     GET    /admin/logs[?follow=1…], /admin/events
///     POST   /admin/reload, /admin/drain
///
/// Everything but health is the administrator's alone. Any thread.
class AdminFront final : public HttpHandler {
public:
    explicit AdminFront(AdminFrontOptions options) : options_(std::move(options)) {}
    Task<HttpResponse> handle(HttpRequest& request) override;
    bool asks_for_body(const HttpRequest&) const noexcept override { return true; }

private:
    Task<HttpResponse> prepared(Task<void> first, HttpRequest& request);
    Task<HttpResponse> route(HttpRequest& request);
    HttpResponse calls(const HttpRequest& request);
    Task<HttpResponse> call_with_body(HttpRequest& request, std::string id, std::string action);
    HttpResponse call(const HttpRequest& request, const std::string& id, std::string_view action);
    HttpResponse cancel(const HttpRequest& request, const std::string& id);
    HttpResponse revoke(const HttpRequest& request, const std::string& id);
    HttpResponse drain(const HttpRequest& request);
    Task<HttpResponse> reload(HttpRequest& request);

    const AdminFrontOptions options_;
};

}  // namespace berth
