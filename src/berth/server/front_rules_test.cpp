#include "berth/server/front_rules.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "berth/async/sync_wait.hpp"
#include "berth/base/json.hpp"
#include "berth/server/gunzip.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

class FrontRulesTest : public ::testing::Test {
protected:
    std::shared_ptr<const FrontRules> rules(const FrontRules* before = nullptr, std::shared_ptr<QueuedSink> sink = nullptr) {
        return std::make_shared<const FrontRules>(FrontRules::Parts{.settings = settings_, .authenticator = nullptr, .sink = std::move(sink), .redactor = redactor_, .clock = clock_, .before = before});
    }
    static HttpRequest asking(std::string_view path, std::string_view peer = "192.0.2.1", std::vector<HttpField> fields = {}) {
        HttpRequest request;
        request.method = "GET";
        request.path = path;
        request.peer = *PeerAddress::parse(peer);
        request.fields = std::move(fields);
        request.received = SteadyTime(std::chrono::hours(1));
        return request;
    }
    static std::string header(const HttpResponse& response, std::string_view name) {
        std::string all;
        for (const auto& [key, value] : response.fields) {
            if (key == name) all += (all.empty() ? "" : " | ") + value;
        }
        return all;
    }
    static int status(const FrontRules& rules, const HttpRequest& request) {
        const auto answer = rules.answer_before(request, rules.client(request));
        return answer ? answer->status : 0;
    }

    ServerSettings settings_;
    Redactor redactor_;
    SystemClock clock_;
};

TEST_F(FrontRulesTest, NothingIsOnUnlessItIsConfigured) {
    EXPECT_FALSE(FrontRules::any(settings_));
    settings_.compress = true;
    EXPECT_TRUE(FrontRules::any(settings_));
}

TEST_F(FrontRulesTest, ARefusalSaysWhenTheNextOneIsTaken) {
    settings_.rate = {.per_second = 0.5, .burst = 2};
    const auto now = rules();
    EXPECT_EQ(status(*now, asking("/a")), 0);
    EXPECT_EQ(status(*now, asking("/a")), 0);
    const auto request = asking("/a");
    const auto refused = now->answer_before(request, request.peer);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 429);
    EXPECT_EQ(header(*refused, "Retry-After"), "2");
    EXPECT_EQ(header(*refused, "RateLimit-Limit"), "2");
    EXPECT_EQ(header(*refused, "RateLimit-Remaining"), "0");
    EXPECT_EQ(header(*refused, "RateLimit-Reset"), "4");
    EXPECT_EQ(status(*now, asking("/a", "192.0.2.2")), 0);
    EXPECT_EQ(status(*now, asking("/health/live")), 0);
    EXPECT_EQ(refused->rejected, "rate_limit");
}

TEST_F(FrontRulesTest, TheRateGoesByTheHeaderThatIsNamed) {
    settings_.rate = {.per_second = 0.001, .burst = 1, .key = RateSettings::Key::header, .header = "x-api-key"};
    const auto now = rules();
    EXPECT_EQ(status(*now, asking("/", "192.0.2.1", {{"X-Api-Key", "one"}})), 0);
    EXPECT_EQ(status(*now, asking("/", "192.0.2.9", {{"x-api-key", "one"}})), 429);
    EXPECT_EQ(status(*now, asking("/", "192.0.2.1", {{"X-Api-Key", "two"}})), 0);
    EXPECT_EQ(status(*now, asking("/", "192.0.2.1")), 0);  // without one: the address
    EXPECT_EQ(status(*now, asking("/", "192.0.2.1")), 429);
}

TEST_F(FrontRulesTest, TheAddressComesFromATrustedProxyOnly) {
    settings_.rate = {.per_second = 0.001, .burst = 1};
    settings_.trusted_proxies = {*PeerNetwork::parse("10.0.0.0/8")};
    const auto now = rules();
    EXPECT_EQ(status(*now, asking("/", "10.0.0.1", {{"X-Forwarded-For", "198.51.100.1"}})), 0);
    EXPECT_EQ(status(*now, asking("/", "10.0.0.2", {{"X-Forwarded-For", "198.51.100.1"}})), 429);
    EXPECT_EQ(status(*now, asking("/", "10.0.0.1", {{"X-Forwarded-For", "198.51.100.2"}})), 0);
    EXPECT_EQ(status(*now, asking("/", "192.0.2.7", {{"X-Forwarded-For", "203.0.113.1"}})), 0);
    EXPECT_EQ(status(*now, asking("/", "192.0.2.7", {{"X-Forwarded-For", "203.0.113.2"}})), 429);
}

TEST_F(FrontRulesTest, RulesThatReplaceOthersGoOnCounting) {
    settings_.rate = {.per_second = 0.001, .burst = 1};
    const auto first = rules();
    EXPECT_EQ(status(*first, asking("/")), 0);
    settings_.compress = true;
    EXPECT_EQ(status(*rules(first.get()), asking("/")), 429);
    settings_.rate.burst = 2;
    EXPECT_EQ(status(*rules(first.get()), asking("/")), 0);
}

TEST_F(FrontRulesTest, AnAnswerGetsItsEncodingAndSaysThatItDependsOnTheRequest) {
    settings_.compress = true;
    const auto now = rules();
    const std::string body(5000, 'x');
    for (const bool wanted : {true, false}) {
        HttpResponse response;
        response.content_type = "text/plain";
        response.body = body;
        const auto request = asking("/", "192.0.2.1", wanted ? std::vector<HttpField>{{"Accept-Encoding", "gzip"}} : std::vector<HttpField>{});
        sync_wait(now->finish(request, {.client = {}, .bytes_in = 0}, response));
        EXPECT_EQ(header(response, "Vary"), "Accept-Encoding");
        EXPECT_EQ(header(response, "Content-Encoding"), wanted ? "gzip" : "");
        EXPECT_EQ(wanted ? *gunzip(response.body, 10'000) : response.body, body);
    }
}

TEST_F(FrontRulesTest, TheAccessLogHasARecordOfEachAnswerWithoutSecrets) {
    const testing::TempDir folder;
    Counter dropped;
    redactor_.add("KEY", "s3cr3t-value");
    settings_.access_log = {.to = AccessLogSettings::To::file, .file = folder / "log"};
    std::shared_ptr<QueuedSink> sink = std::move(*QueuedSink::to_file(folder / "log", dropped));
    {
        const auto now = rules(nullptr, std::exchange(sink, nullptr));
        auto request = asking("/at/s3cr3t-value", "192.0.2.1", {{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, {"User-Agent", "curl/8 \xff"}, {"Authorization", "Bearer abc"}});
        request.query = "token=abc";
        HttpResponse response;
        response.status = 404;
        response.route = "_other";
        response.request_id = "r-1";
        response.body = "12345";
        sync_wait(now->finish(request, {.client = request.peer, .bytes_in = 7}, response));
        now->log_refused(request.peer, response);
    }
    std::ifstream stream(folder / "log");
    std::string first, second, third;
    std::getline(stream, first);
    std::getline(stream, second);
    EXPECT_FALSE(std::getline(stream, third));
    ASSERT_TRUE(check_json(first)) << first;
    for (const auto* part : {R"("path":"/at/[redacted:KEY]")", R"("status":404)", R"("bytes_in":7)", R"("bytes_out":5)", R"("client":"192.0.2.1")", R"("request_id":"r-1")", R"("route":"_other")",
                             R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736")", R"("logger":"access")"})
        EXPECT_NE(first.find(part), std::string::npos) << part << "\n" << first;
    for (const auto* part : {"s3cr3t", "abc", "token"}) EXPECT_EQ(first.find(part), std::string::npos) << part;
    EXPECT_TRUE(check_json(second)) << second;
}

/// Gives "one", "three", and that was all.
class TwoParts final : public HttpBodySource {
public:
    Task<Result<std::string>> next(CancelToken) override {
        auto part = std::exchange(first_, std::exchange(second_, {}));
        co_return part;
    }

private:
    std::string first_ = "one", second_ = "three";
};

TEST_F(FrontRulesTest, AnAnswerInPartsIsInTheAccessLogWhenItIsOver) {
    const testing::TempDir folder;
    Counter dropped;
    settings_.access_log = {.to = AccessLogSettings::To::file, .file = folder / "log"};
    std::shared_ptr<QueuedSink> sink = std::move(*QueuedSink::to_file(folder / "log", dropped));
    auto request = asking("/in/parts", "192.0.2.1");
    request.parts = std::make_shared<BodyPipe>();
    HttpResponse response;
    response.source = std::make_unique<TwoParts>();
    {
        const auto now = rules(nullptr, std::exchange(sink, nullptr));
        sync_wait(now->finish(request, {.client = request.peer, .bytes_in = 0}, response));
    }
    request.parts->write("1234567");
    std::string body;
    while (true) {
        const auto part = sync_wait(response.source->next({}));
        ASSERT_TRUE(part);
        if (part->empty()) break;
        body += *part;
    }
    sync_wait(response.source->close());
    response.source.reset();
    EXPECT_EQ(body, "onethree");
    std::ifstream stream(folder / "log");
    std::string line, further;
    std::getline(stream, line);
    EXPECT_FALSE(std::getline(stream, further));
    for (const auto* part : {R"("path":"/in/parts")", R"("status":200)", R"("bytes_in":7)", R"("bytes_out":8)"}) EXPECT_NE(line.find(part), std::string::npos) << part << "\n" << line;
}

}  // namespace
}  // namespace berth
