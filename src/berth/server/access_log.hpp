#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "berth/base/clock.hpp"
#include "berth/net/http_message.hpp"
#include "berth/telemetry/log.hpp"
#include "berth/telemetry/queued_sink.hpp"

namespace berth {

/// One JSON line for each request that was answered, when its answer is made. Secrets are redacted; queries, bodies and credentials are not
/// written at all. Any thread; never waits for its sink.
class AccessLog {
public:
    AccessLog(std::shared_ptr<QueuedSink> sink, const Redactor& redactor, const Clock& clock) : sink_(std::move(sink)), redactor_(redactor), clock_(clock) {}

    struct Seen {
        PeerAddress client;
        std::uint64_t bytes_in = 0;
    };
    /// Of an answer that is made while it is sent: when that is over, so this stands between its source and the connection.
    void write(const HttpRequest& request, HttpResponse& response, const Seen& seen) const;
    /// Of one that was refused before it was a request.
    void write_refused(const PeerAddress& peer, const HttpResponse& response) const;

private:
    class Followed;
    struct Answer {
        std::uint16_t status = 0;
        std::string_view route;
        std::string request_id;
    };
    void write_line(const HttpRequest& request, const Answer& answer, const Seen& seen, std::uint64_t bytes_out) const;

    const std::shared_ptr<QueuedSink> sink_;  // with the log of the rules that come after these
    const Redactor& redactor_;
    const Clock& clock_;
};

}  // namespace berth
