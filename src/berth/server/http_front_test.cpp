#include "berth/server/http_front.hpp"

#include <gtest/gtest.h>

#include "berth/async/sync_wait.hpp"
#include "berth/base/ids.hpp"
#include "berth/runtime/function_table.hpp"

namespace berth {
namespace {

/// Functions that answer with their input, or fail as their name says.
class FakeInvoker final : public Invoker {
public:
    FakeInvoker() {
        add("raw", EngineKind::wasm, FunctionState::ready);
        add("trapping", EngineKind::wasm, FunctionState::ready);
        add("echo", EngineKind::subprocess, FunctionState::ready);
        add("refusing", EngineKind::subprocess, FunctionState::ready);
        add("off", EngineKind::subprocess, FunctionState::disabled);
        add("broken", EngineKind::subprocess, FunctionState::invalid);
    }
    Task<Outcome> call(Call call) override {
        Outcome outcome;
        outcome.output = call.input;
        outcome.output.media_type.clear();
        if (call.function == "trapping") {
            outcome.error = Error(Code::trap, "secret detail");
            outcome.error->set_trap("unreachable");
        } else if (call.function == "refusing") {
            outcome.error = Error(Code::unprocessable, "no such colour");
            outcome.error->set_origin(Origin::guest);
            outcome.guest_code = "NO_COLOUR";
            outcome.details = R"({"n":1.10})";
            outcome.logs.push_back({"warn", "hm", "", ""});
        }
        last = std::move(call);
        co_return outcome;
    }
    FunctionRef find(std::string_view name) const override {
        for (const auto& function : functions_) {
            if (function->name == name) return function;
        }
        return nullptr;
    }
    std::vector<FunctionRef> list() const override { return functions_; }

    Call last;

private:
    void add(const char* name, EngineKind kind, FunctionState state) {
        Function function;
        function.name = name;
        function.engine = kind;
        function.state = state;
        if (state == FunctionState::invalid) function.diagnostics.push_back({"M008", "functions/broken", "no entry file"});
        functions_.push_back(std::make_shared<Function>(std::move(function)));
    }
    std::vector<FunctionRef> functions_;
};

class HttpFrontTest : public testing::Test {
protected:
    HttpResponse ask(std::string_view method, std::string_view path, std::string_view body = "", std::vector<HttpField> fields = {}) {
        HttpRequest request;
        request.method = method;
        request.path = path;
        request.body = body;
        request.fields = std::move(fields);
        request.received = std::chrono::steady_clock::now();
        return sync_wait(front_.handle(request));
    }
    std::string header(const HttpResponse& response, std::string_view name) {
        for (const auto& [key, value] : response.fields) {
            if (key == name) return value;
        }
        return "";
    }

    FakeInvoker invoker_;
    HostRoutes host_{{.metrics = [](MetricsForm form) { return form == MetricsForm::open_metrics ? "open 1\n" : "m 1\n"; }, .checks = {}}};
    HttpFront front_{invoker_, host_, {}};
};

TEST_F(HttpFrontTest, RawFunctionsAnswerWithTheirBytes) {
    const auto json = ask("POST", "/api/functions/raw", " {\"n\": 1.10}\n");
    EXPECT_EQ(json.status, 200);
    EXPECT_EQ(json.body, " {\"n\": 1.10}\n");
    EXPECT_EQ(json.content_type, "application/json");
    const auto bytes = ask("POST", "/api/functions/raw", "\xff\x00");
    EXPECT_EQ(bytes.content_type, "application/octet-stream");
    EXPECT_EQ(bytes.route, "/api/functions/{name}");
    EXPECT_TRUE(bytes.server_timing.starts_with("queue;dur=0.000, start;dur="));
}

TEST_F(HttpFrontTest, FailuresOfRawFunctionsWithholdTheirDetail) {
    const auto response = ask("POST", "/api/functions/trapping", "", {{"X-Request-Id", "r-1"}});
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(response.body.find("secret"), std::string::npos);
    EXPECT_NE(response.body.find("\"trap\":\"unreachable\""), std::string::npos);
    EXPECT_NE(response.body.find("\"request_id\":\"r-1\""), std::string::npos);
}

TEST_F(HttpFrontTest, SubprocessFunctionsAnswerInTheEnvelope) {
    const auto response = ask("POST", "/api/functions/echo", R"({"n":1e400})", {{"x-request-id", "0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4"}});
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.body.starts_with(R"({"request_id":"0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4","success":true,"output":{"n":1e400},"logs":[],"duration_ms":)")) << response.body;
    EXPECT_EQ(response.request_id, "0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4");
    EXPECT_EQ(header(response, "Cache-Control"), "no-store");
    EXPECT_TRUE(response.server_timing.find("spawn;dur=") != std::string::npos);
}

TEST_F(HttpFrontTest, AnIdThatIsNoUuidIsEchoedButNotPutIntoTheEnvelope) {
    const auto response = ask("POST", "/api/functions/echo", "", {{"X-Correlation-Id", "abc"}});
    EXPECT_EQ(response.request_id, "abc");
    EXPECT_EQ(response.body.find("\"abc\""), std::string::npos);
    EXPECT_EQ(invoker_.last.input.bytes, "{}");
    EXPECT_EQ(invoker_.last.request_id, "abc");
}

TEST_F(HttpFrontTest, AFunctionsOwnErrorKeepsItsCodeDetailsAndLogs) {
    const auto response = ask("POST", "/api/functions/refusing");
    EXPECT_EQ(response.status, 422);
    EXPECT_NE(response.body.find(R"("error":{"code":"NO_COLOUR","message":"no such colour","origin":"guest","details":{"n":1.10}},"logs":[{"level":"warn","message":"hm"}])"),
              std::string::npos)
        << response.body;
}

TEST_F(HttpFrontTest, UnknownAndDisabledFunctionsAreNotFound) {
    for (const char* path : {"/api/functions/nothing", "/api/functions/off", "/api/functions/"}) {
        const auto response = ask("POST", path);
        EXPECT_EQ(response.status, 404) << path;
        EXPECT_NE(response.body.find("\"FUNCTION_NOT_FOUND\""), std::string::npos) << path;
    }
    const auto other = ask("POST", "/api/functions/a/b");
    EXPECT_EQ(other.status, 404);
    EXPECT_NE(other.body.find("\"NOT_FOUND\""), std::string::npos) << other.body;
}

TEST_F(HttpFrontTest, InvalidFunctionsListTheirProblems) {
    const auto response = ask("POST", "/api/functions/broken");
    EXPECT_EQ(response.status, 500);
    EXPECT_NE(response.body.find("\"FUNCTION_INVALID\""), std::string::npos);
    EXPECT_NE(response.body.find("\"M008\""), std::string::npos);
}

TEST_F(HttpFrontTest, OtherMethodsAreNamed) {
    const auto put = ask("PUT", "/api/functions/echo");
    EXPECT_EQ(put.status, 405);
    EXPECT_EQ(header(put, "Allow"), "GET, HEAD, OPTIONS, POST");
    EXPECT_EQ(ask("POST", "/health").status, 405);
    EXPECT_EQ(ask("OPTIONS", "/health").status, 204);
    EXPECT_EQ(ask("OPTIONS", "/api/functions/echo").status, 204);
    EXPECT_EQ(ask("GET", "/api/functions/echo").status, 200);
}

TEST_F(HttpFrontTest, NamesAreDecodedOnceAndBadPathsRefused) {
    EXPECT_EQ(ask("POST", "/api/functions/%65cho").status, 200);
    EXPECT_EQ(ask("POST", "/api/functions/echo%2F").status, 404);
    EXPECT_EQ(ask("POST", "/api/functions/%2e%2e").status, 400);
    EXPECT_EQ(ask("POST", "/api/functions/a%00").status, 400);
    EXPECT_EQ(ask("GET", "/a/../b").status, 400);
    EXPECT_EQ(ask("GET", "/health/").status, 404);
}

TEST_F(HttpFrontTest, DeadlinesOfCallersAreTaken) {
    EXPECT_EQ(ask("POST", "/api/functions/raw", "", {{"X-Request-Timeout-Ms", "1500"}}).status, 200);
    EXPECT_TRUE(invoker_.last.deadline);
    for (const char* bad : {"0", "-1", "x", "1.5", ""}) EXPECT_EQ(ask("POST", "/api/functions/raw", "", {{"X-Request-Timeout-Ms", bad}}).status, 400) << bad;
}

TEST_F(HttpFrontTest, TheListHasWhatCanBeCalled) {
    const auto response = ask("GET", "/api/functions");
    EXPECT_NE(response.body.find(R"({"name":"raw","runtime":"wasm","state":"ready","description":""})"), std::string::npos);
    EXPECT_EQ(response.body.find("broken"), std::string::npos);
    EXPECT_NE(response.body.find("\"count\":5"), std::string::npos);
}

TEST_F(HttpFrontTest, ReadinessFollowsTheLifeOfTheServer) {
    EXPECT_EQ(ask("GET", "/health/live").status, 200);
    EXPECT_EQ(ask("GET", "/ready").status, 503);
    host_.set_ready();
    EXPECT_EQ(ask("GET", "/health/ready").status, 200);
    EXPECT_TRUE(ask("GET", "/health").body.starts_with("{\"status\":\"ok\",\"uptime_s\":0,\"checks\":{}}"));
    host_.drain();
    EXPECT_EQ(ask("GET", "/health/ready").status, 503);
    EXPECT_EQ(ask("GET", "/health").status, 503);
    const auto call = ask("POST", "/api/functions/echo");
    EXPECT_EQ(call.status, 503);
    EXPECT_EQ(header(call, "Retry-After"), "1");
}

TEST_F(HttpFrontTest, MetricsAndUnknownPaths) {
    EXPECT_EQ(ask("GET", "/metrics").body, "m 1\n");
    const auto missing = ask("GET", "/nothing");
    EXPECT_EQ(missing.status, 404);
    EXPECT_EQ(missing.route, "_other");
    EXPECT_FALSE(missing.request_id.empty());
}

}  // namespace
}  // namespace berth
