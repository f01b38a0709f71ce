#include "berth/server/access_log.hpp"

#include <optional>
#include <utility>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/telemetry/trace_context.hpp"

namespace berth {

/// The body as its source makes it, counted; writes the line when it is over.
class AccessLog::Followed final : public HttpBodySource {
public:
    Followed(const AccessLog& log, const HttpRequest& request, Answer answer, const Seen& seen, std::unique_ptr<HttpBodySource> source)
        : log_(log), request_(request), answer_(std::move(answer)), seen_(seen), source_(std::move(source)) {}

    Task<Result<std::string>> next(CancelToken gone) override {
        auto part = co_await source_->next(gone);
        if (part) bytes_out_ += part->size();
        co_return part;
    }
    bool is_endless() const noexcept override { return source_->is_endless(); }
    std::optional<std::uint64_t> length() const noexcept override { return source_->length(); }
    BodyPipe::Fields trailers() override { return source_->trailers(); }
    Task<void> close() override {
        co_await source_->close();
        log_.write_line(request_, answer_, seen_, bytes_out_);
    }

private:
    const AccessLog log_;
    const HttpRequest& request_;
    const Answer answer_;
    const Seen seen_;
    const std::unique_ptr<HttpBodySource> source_;
    std::uint64_t bytes_out_ = 0;
};

void AccessLog::write(const HttpRequest& request, HttpResponse& response, const Seen& seen) const {
    Answer answer{.status = response.status, .route = response.route, .request_id = response.request_id};
    if (response.source) {
        response.source = std::make_unique<Followed>(*this, request, std::move(answer), seen, std::move(response.source));
        return;
    }
    write_line(request, answer, seen, request.method == "HEAD" ? 0 : response.body.size());
}

void AccessLog::write_line(const HttpRequest& request, const Answer& answer, const Seen& seen, std::uint64_t bytes_out) const {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - request.received).count();
    JsonWriter line;
    line.begin_object().member("ts", timestamp(clock_.wall())).member("level", "info").member("logger", "access");
    line.member("msg", format("{} {} {}", request.method, request.path, answer.status));
    line.member("method", request.method).member("path", request.path).member("route", answer.route).member("status", static_cast<unsigned>(answer.status));
    line.member("bytes_in", request.parts ? request.parts->written() : seen.bytes_in).member("bytes_out", bytes_out);
    line.member("duration_ms", static_cast<double>(took) / 1000.0).member("client", seen.client.text()).member("request_id", std::string_view(answer.request_id));
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
