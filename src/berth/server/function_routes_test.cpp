#include "berth/server/function_routes.hpp"

#include <gtest/gtest.h>

#include "berth/base/format.hpp"
#include "berth/runtime/manifest.hpp"

namespace berth {
namespace {

FunctionRef with_routes(std::string name, std::vector<RouteRule> routes) {
    auto manifest = std::make_shared<FunctionManifest>();
    manifest->routes = std::move(routes);
    auto function = std::make_shared<Function>();
    function->name = std::move(name);
    function->manifest = std::move(manifest);
    return function;
}

const FunctionRoutes& routes() {
    static const FunctionRoutes made({with_routes("parameter", {{.path = "/a/{x}/c", .methods = {"GET"}}}), with_routes("literal", {{.path = "/a/b/c", .methods = {"GET"}}}), with_routes("rest", {{.path = "/a/{more...}",
        .methods = {"GET", "PUT"}}}),
                                      with_routes("root", {{.path = "/", .methods = {"GET"}}})});
    return made;
}

std::string find(std::string_view method, const std::vector<std::string>& segments) {
    const auto match = routes().find(method, segments);
    if (!match) return "none";
    auto text = match->function.empty() ? "allow " + match->allow : match->function;
    for (const auto& [name, value] : match->params) text += format(" {}={}", name, value);
    return text;
}

TEST(FunctionRoutes, LiteralBeatsParameterAndThatTheRest) {
    EXPECT_EQ(find("GET", {"a", "b", "c"}), "literal");
    EXPECT_EQ(find("GET", {"a", "x", "c"}), "parameter x=x");
    EXPECT_EQ(find("GET", {"a", "x", "d", "e/f"}), "rest more=x/d/e/f");
    EXPECT_EQ(find("PUT", {"a", "b", "c"}), "rest more=b/c");
    EXPECT_EQ(find("POST", {"a", "b"}), "allow GET, PUT");
    EXPECT_EQ(find("GET", {"a"}), "none");
    EXPECT_EQ(find("GET", {"b"}), "none");
    EXPECT_EQ(find("GET", {""}), "root");
}

TEST(FunctionRoutes, OutputsAreTakenForAnswers) {
    const auto shown = [](std::string_view output) {
        const auto answer = route_response(output);
        if (!answer) return std::string(name(answer.error().code()));
        std::string text = std::to_string(answer->status) + " " + std::string(answer->content_type) + " " + answer->body;
        for (const auto& [field, value] : answer->guest_fields) text += " " + std::string(field) + ":" + value;
        return text;
    };
    EXPECT_EQ(shown("null"), "204  ");
    EXPECT_EQ(shown("5"), "200 application/json 5");
    EXPECT_EQ(shown(R"({"a":1.10})"), R"(200 application/json {"a":1.10})");
    EXPECT_EQ(shown(R"({"status":201})"), "201  ");
    EXPECT_EQ(shown(R"({"status":"ok"})"), R"(200 application/json {"status":"ok"})");
    EXPECT_EQ(shown(R"({"body":"x","headers":{"X-A":"1"}})"), "200 text/plain; charset=utf-8 x X-A:1");
    EXPECT_EQ(shown(R"({"body":"AP8=","body_encoding":"base64"})"), std::string("200 application/octet-stream \0\xff", 31));
    EXPECT_EQ(shown(R"({"body":{"k":1},"headers":{"Content-Type":"application/x"}})"), R"(200  {"k":1} Content-Type:application/x)");
    for (const char* bad : {R"({"status":99})", R"({"status":600})", R"({"body":"x","headers":{"A":"b\r\nC: d"}})", R"({"body":"x","headers":{"A b":"c"}})", R"({"body":"x","headers":{"Transfer-Encoding":"chunked"}})",
        R"({"body":"x","headers":[1]})",
                            R"({"body":"x","headers":{"A":1}})", R"({"body":"?","body_encoding":"base64"})"}) {
        EXPECT_EQ(shown(bad), "bad_output") << bad;
    }
}

}  // namespace
}  // namespace berth
