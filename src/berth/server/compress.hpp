#pragma once

#include <string>
#include <string_view>

#include "berth/async/offload.hpp"
#include "berth/async/task.hpp"
#include "berth/net/http_message.hpp"

namespace berth {

/// The body in gzip form; empty when that is not smaller, or there is no memory for it.
std::string gzipped(std::string_view body);

/// Sends bodies over 1 KiB in gzip form to clients that accept it, unless they have an encoding already, are of a kind
/// that is compressed in itself, or say no-transform. Any thread.
class Compression {
public:
    /// True when the answer may differ by Accept-Encoding; then it says so in Vary.
    static bool concerns(const HttpResponse& response);
    static bool wanted(const HttpRequest& request);
    /// Large bodies are compressed beside the loop.
    Task<void> apply(HttpResponse& response) const;

private:
    mutable GuestProfile profile_;  // compression computes as a guest does
};

}  // namespace berth
