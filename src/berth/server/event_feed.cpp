#include "berth/server/event_feed.hpp"

#include <charconv>

#include "berth/base/format.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

std::string event_text(std::uint64_t seq, std::string_view type, std::string_view json) { return format("id: {}\nevent: {}\ndata: {}\n\n", seq, type, json); }

HttpResponse event_response(std::unique_ptr<HttpBodySource> source) {
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.fields.emplace_back("Cache-Control", "no-store");
    response.source = std::move(source);
    return response;
}

std::uint64_t last_event_id(const HttpRequest& request) {
    std::uint64_t seq = 0;
    const auto text = request.field("last-event-id").value_or("");
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seq);
    return problem == std::errc() && end == text.data() + text.size() ? seq : 0;
}

class EventFeed::Follower final : public HttpBodySource {
public:
    Follower(EventFeed& feed, std::uint64_t after) : feed_(feed), after_(after) {}
    Task<Result<std::string>> next(CancelToken gone) override {
        while (true) {
            const auto heard = feed_.bell_.rings();
            auto text = feed_.after(after_);
            if (!text.empty()) co_return text;
            if (gone.requested()) co_return std::string();
            co_await feed_.bell_.wait(heard, gone);
        }
    }
    bool is_endless() const noexcept override { return true; }

private:
    EventFeed& feed_;
    std::uint64_t after_;
};

void EventFeed::publish(std::string_view type, std::string_view details) {
    {
        const std::lock_guard lock(mutex_);
        const auto json = format(R"({{"seq":{},"ts":"{}","type":"{}"{}{}}})", next_, timestamp(clock_.wall()), type, details.empty() ? "" : ",", details);
        events_.push_back({next_, event_text(next_, type, json)});
        ++next_;
        if (events_.size() > kept_) events_.pop_front();
    }
    bell_.ring();
}

std::string EventFeed::after(std::uint64_t& seq) const {
    std::string text;
    const std::lock_guard lock(mutex_);
    for (const auto& event : events_) {
        if (event.seq > seq) text += event.text;
    }
    if (next_ > 1) seq = next_ - 1;
    return text;
}

HttpResponse EventFeed::follow(const HttpRequest& request) {
    auto after = last_event_id(request);
    if (after == 0) {
        const std::lock_guard lock(mutex_);
        after = next_ - 1;
    }
    return event_response(std::make_unique<Follower>(*this, after));
}

}  // namespace berth
