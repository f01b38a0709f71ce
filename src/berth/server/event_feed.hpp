#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "berth/base/clock.hpp"
#include "berth/net/http_message.hpp"
#include "berth/server/bell.hpp"

namespace berth {

/// What happens to functions, for those who follow it as server-sent events: the newest 1,000 are kept for who was away.
/// Any thread; outlives those who follow.
class EventFeed {
public:
    explicit EventFeed(const Clock& clock, std::size_t kept = 1'000) : clock_(clock), kept_(kept) {}

    /// `details`: members of a JSON object behind `seq`, `ts` and `type`, such as `"function":"a"`; may be empty.
    void publish(std::string_view type, std::string_view details);

    /// The answer to who follows: what came after the event that `Last-Event-ID` names, then what comes.
    HttpResponse follow(const HttpRequest& request);

private:
    class Follower;
    struct Event {
        std::uint64_t seq;
        std::string text;  // as it is sent
    };
    std::string after(std::uint64_t& seq) const;

    const Clock& clock_;
    const std::size_t kept_;
    Bell bell_;
    mutable std::mutex mutex_;
    std::deque<Event> events_;    // guarded by mutex_
    std::uint64_t next_ = 1;      // guarded by mutex_
};

/// One server-sent event.
std::string event_text(std::uint64_t seq, std::string_view type, std::string_view json);
/// The head of an answer of events that `source` makes.
HttpResponse event_response(std::unique_ptr<HttpBodySource> source);
/// The number in `Last-Event-ID`; 0: none.
std::uint64_t last_event_id(const HttpRequest& request);

}  // namespace berth
