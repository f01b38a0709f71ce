#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/function.hpp"

namespace berth {

/// The paths that functions answer besides their own, as their manifests say. Immutable; any thread.
class FunctionRoutes {
public:
    FunctionRoutes() = default;
    explicit FunctionRoutes(const std::vector<FunctionRef>& functions);

    struct Match {
        std::string function;
        bool raw = false;
        std::vector<std::pair<std::string, std::string>> params;
        std::string allow;      // of this path when the method is none of them; then `function` is empty
    };
    /// A literal segment is stronger than a parameter, that than the rest of a path. Nothing when no route has this path.
    std::optional<Match> find(std::string_view method, const std::vector<std::string>& segments) const;
    bool empty() const noexcept { return routes_.empty(); }

private:
    struct Segment {
        enum class Kind : std::uint8_t { literal, parameter, rest } kind = Kind::literal;
        std::string text;
    };
    struct Route {
        std::vector<Segment> segments;
        std::vector<std::string> methods;
        std::string function;
        bool raw = false;
    };
    static bool matches(const Route& route, const std::vector<std::string>& segments);
    static bool stronger(const Route& a, const Route& b);

    std::vector<Route> routes_;
};

/// What a function is given for a request on one of its routes: method, path, params, query, headers, body.
Result<std::string> route_input(const HttpRequest& request, const FunctionRoutes::Match& match);

/// The answer for a function's output: an object with an integer `status` or a `body` says it itself, anything else is
/// sent as JSON, null as 204. Fails with bad_output when what it says cannot be sent.
Result<HttpResponse> route_response(std::string_view output);

}  // namespace berth
