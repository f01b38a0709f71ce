#include "berth/server/access_log.hpp"

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/telemetry/trace_context.hpp"

namespace berth {

void AccessLog::write(const HttpRequest& request, const HttpResponse& response, const Seen& seen) const {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - request.received).count();
    JsonWriter line;
    line.begin_object().member("ts", timestamp(clock_.wall())).member("level", "info").member("logger", "access");
    line.member("msg", format("{} {} {}", request.method, request.path, response.status));
    line.member("method", request.method).member("path", request.path).member("route", response.route).member("status", static_cast<unsigned>(response.status));
    line.member("bytes_in", seen.bytes_in).member("bytes_out", static_cast<std::uint64_t>(request.method == "HEAD" ? 0 : response.body.size()));
    line.member("duration_ms", static_cast<double>(took) / 1000.0).member("client", seen.client.text()).member("request_id", std::string_view(response.request_id));
    if (const auto sent = request.field("traceparent")) {
        if (const auto parent = read_trace_parent(*sent)) line.member("trace_id", std::string_view(*parent).substr(3, 32));
    }
    if (const auto agent = request.field("user-agent")) line.member("user_agent", agent->substr(0, 256));
    line.end_object();
    sink_->put(redactor_.apply(line.take()) + "\n");
}

void AccessLog::write_refused(const PeerAddress& peer, const HttpResponse& response) const {
    JsonWriter line;
    line.begin_object().member("ts", timestamp(clock_.wall())).member("level", "info").member("logger", "access").member("msg", format("refused {}", response.status));
    line.member("status", static_cast<unsigned>(response.status)).member("bytes_out", static_cast<std::uint64_t>(response.body.size()));
    line.member("client", peer.text()).member("request_id", std::string_view(response.request_id)).end_object();
    sink_->put(redactor_.apply(line.take()) + "\n");
}

}  // namespace berth
