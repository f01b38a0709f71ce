#include "berth/server/log_routes.hpp"

#include <algorithm>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/server/event_feed.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

constexpr std::size_t most_at_once = 10'000;

void write(JsonWriter& json, const FunctionLogEntry& one) {
    json.begin_object().member("seq", one.seq).member("ts", std::string_view(timestamp(one.time))).member("function", std::string_view(one.function));
    json.member("request_id", std::string_view(one.request_id)).member("source", one.source).member("level", std::string_view(one.entry.level)).member("message", std::string_view(one.entry.message));
    if (!one.entry.data.empty()) json.key("data").raw(one.entry.data);
    json.end_object();
}

Result<std::uint64_t> number(const HttpRequest& request, std::string_view name, std::uint64_t otherwise) {
    const auto text = query_value(request.query, name);
    if (!text) return otherwise;
    std::uint64_t value = 0;
    const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (problem != std::errc() || end != text->data() + text->size()) return fail(Code::bad_input, format("{} is no whole number", name));
    return value;
}

/// Goes on as more comes.
class Follower final : public HttpBodySource {
public:
    Follower(const FunctionLogs& logs, Bell& bell, FunctionLogs::Filter filter) : logs_(logs), bell_(bell), filter_(std::move(filter)) {}
    Task<Result<std::string>> next(CancelToken gone) override {
        while (true) {
            const auto heard = bell_.rings();
            const auto entries = logs_.read(filter_);
            std::string text;
            for (const auto& one : entries) {
                JsonWriter json;
                write(json, one);
                text += event_text(one.seq, "log", json.text());
                filter_.after = std::max(filter_.after, one.seq);
            }
            filter_.limit = most_at_once;
            if (!text.empty()) co_return text;
            if (gone.requested()) co_return std::string();
            co_await bell_.wait(heard, gone);
        }
    }
    bool is_endless() const noexcept override { return true; }

private:
    const FunctionLogs& logs_;
    Bell& bell_;
    FunctionLogs::Filter filter_;
};

}  // namespace

Result<HttpResponse> logs_response(const FunctionLogs& logs, Bell& bell, const HttpRequest& request, std::string_view function) {
    FunctionLogs::Filter filter;
    filter.function = function;
    filter.request_id = query_value(request.query, "request_id").value_or("");
    filter.source = query_value(request.query, "source").value_or("");
    if (const auto level = query_value(request.query, "level")) {
        BERTH_TRY(filter.level, parse_log_level(*level));
    }
    BERTH_TRY(const auto limit, number(request, "limit", 100));
    filter.limit = std::min<std::size_t>(most_at_once, limit);
    BERTH_TRY(filter.after, number(request, "after", 0));
    if (const auto since = query_value(request.query, "since")) {
        BERTH_TRY(const auto span, parse_duration(*since) | note([] { return "since"; }));
        filter.since = std::chrono::system_clock::now() - span;
    }
    if (query_value(request.query, "follow").value_or("0") != "0") {
        filter.after = std::max(filter.after, last_event_id(request));
        return event_response(std::make_unique<Follower>(logs, bell, std::move(filter)));
    }
    JsonWriter json;
    json.begin_object().key("logs").begin_array();
    for (const auto& one : logs.read(filter)) write(json, one);
    json.end_array().end_object();
    return json_response(200, json.take());
}

}  // namespace berth
