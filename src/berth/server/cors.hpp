#pragma once

#include <optional>
#include <string>

#include "berth/app/server_settings.hpp"
#include "berth/net/http_message.hpp"

namespace berth {

/// Lets pages of the configured origins read answers (Fetch standard, CORS protocol). Immutable; any thread.
class Cors {
public:
    explicit Cors(const CorsSettings& settings);

    /// The answer to a preflight request of an origin that is allowed; nothing for every other request.
    std::optional<HttpResponse> preflight(const HttpRequest& request) const;
    /// Adds what a browser needs to hand the answer on, and takes away what a guest said about the same.
    void finish(const HttpRequest& request, HttpResponse& response) const;

private:
    bool allows(std::string_view origin) const;
    void add_origin(const HttpRequest& request, HttpResponse& response) const;

    const CorsSettings settings_;
    const bool any_;
    std::string methods_, headers_, max_age_;
};

}  // namespace berth
