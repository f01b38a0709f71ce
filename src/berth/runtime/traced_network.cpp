#include "berth/runtime/traced_network.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/runtime/spans.hpp"

namespace berth {
namespace {

class TracedExchange final : public HttpExchange {
public:
    TracedExchange(std::unique_ptr<HttpExchange> inner, const Clock& clock, const Call& call, CallObserver& observer, CallOperation operation)
        : inner_(std::move(inner)), clock_(clock), call_(call), observer_(observer), operation_(std::move(operation)) {}

    ~TracedExchange() override {
        switch (inner_->head()) {
            case State::ready: {
                const auto status = inner_->response().status;
                operation_.attributes.emplace_back("http.response.status_code", std::int64_t{status});
                if (failed_) fail(inner_->error());
                else if (status >= 400) operation_.failure = std::to_string(status);
                break;
            }
            case State::failed: fail(inner_->error()); break;
            case State::pending: operation_.failure = "given up before it was answered"; break;
        }
        operation_.end = clock_.wall();
        observer_.operation(call_, std::move(operation_));
    }

    State head() const override { return inner_->head(); }
    OutgoingResponse response() const override { return inner_->response(); }
    Error error() const override { return inner_->error(); }
    std::size_t room() const override { return inner_->room(); }
    void write(ByteView bytes) override { inner_->write(bytes); }
    void finish() override { inner_->finish(); }
    Read read(MutableBytes out, std::size_t& count) override {
        const auto got = inner_->read(out, count);
        failed_ = failed_ || got == Read::failed;
        return got;
    }

private:
    void fail(const Error& error) {
        operation_.failure = error.full_message();
        operation_.attributes.emplace_back("error.type", std::string(name(error.code())));
    }

    std::unique_ptr<HttpExchange> inner_;
    const Clock& clock_;
    const Call& call_;
    CallObserver& observer_;
    CallOperation operation_;
    bool failed_ = false;
};

}  // namespace

Result<std::unique_ptr<HttpExchange>> TracedNetwork::open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()> waker) {
    CallOperation operation{.span_id = new_span_id(), .name = request.method, .kind = SpanKind::client, .start = clock_.wall(), .end = {}, .failure = {}, .attributes = {}};
    operation.attributes = {{"http.request.method", request.method}, {"server.address", request.url.host}, {"server.port", std::int64_t{request.url.port}}, {"url.scheme", std::string(request.url.scheme())}};
    const bool has_own = std::ranges::any_of(request.fields, [](const auto& field) {
        return std::ranges::equal(field.first, std::string_view("traceparent"), [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; });
    });
    if (!has_own && call_.trace_parent.size() == 55) {
        request.fields.emplace_back("traceparent", format("{}{}{}", std::string_view(call_.trace_parent).substr(0, 36), operation.span_id, std::string_view(call_.trace_parent).substr(52)));
        if (!call_.trace_state.empty()) request.fields.emplace_back("tracestate", call_.trace_state);
    }
    auto opened = inner_.open(std::move(request), std::move(guard), std::move(waker));
    if (opened) return std::make_unique<TracedExchange>(std::move(*opened), clock_, call_, observer_, std::move(operation));
    operation.failure = opened.error().full_message();
    operation.attributes.emplace_back("error.type", std::string(name(opened.error().code())));
    operation.end = clock_.wall();
    observer_.operation(call_, std::move(operation));
    return fail(std::move(opened.error()));
}

}  // namespace berth
