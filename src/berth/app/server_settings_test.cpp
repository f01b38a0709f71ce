#include "berth/app/server_settings.hpp"

#include <gmock/gmock.h>

namespace berth {
namespace {

using ::testing::HasSubstr;

Result<ServerSettings> settings(std::vector<std::pair<std::string, std::string>> keys) {
    ConfigInput input;
    input.flags = std::move(keys);
    const auto config = Config::load(input);
    EXPECT_TRUE(config) << config.error().message();
    return ServerSettings::from(*config);
}

std::string problem(std::vector<std::pair<std::string, std::string>> keys) {
    const auto read = settings(std::move(keys));
    return read ? "none" : read.error().message();
}

TEST(ServerSettings, DefaultsTurnNothingOn) {
    const auto read = settings({});
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->access_log.to, AccessLogSettings::To::nowhere);
    EXPECT_FALSE(read->cors.is_on());
    EXPECT_FALSE(read->rate.is_on());
    EXPECT_FALSE(read->compress);
    EXPECT_TRUE(read->trusted_proxies.empty());
    EXPECT_EQ(read->http.port, 8080);
    EXPECT_EQ(read->http.limits.headers, 100U);
    EXPECT_EQ(read->http.limits.header_bytes, 16U << 10);
}

TEST(ServerSettings, ValuesAreRead) {
    const auto read = settings({{"server.access_log", "file:/tmp/a.log"},
                                {"server.cors.origins", "https://a.example, http://localhost:3000"},
                                {"server.cors.credentials", "true"},
                                {"server.rate", "90/m"},
                                {"server.rate_key", "header:X-Api-Key"},
                                {"server.trusted_proxies", "10.0.0.0/8, ::1"},
                                {"server.max_headers", "10"}});
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->access_log.file, "/tmp/a.log");
    EXPECT_EQ(read->cors.origins.size(), 2U);
    EXPECT_DOUBLE_EQ(read->rate.per_second, 1.5);
    EXPECT_EQ(read->rate.burst, 90U);
    EXPECT_EQ(read->rate.header, "x-api-key");
    EXPECT_EQ(read->trusted_proxies.size(), 2U);
    EXPECT_EQ(read->http.limits.headers, 10U);
}

TEST(ServerSettings, EveryProblemIsNamedWithItsSource) {
    EXPECT_THAT(problem({{"server.cors.origins", "*"}, {"server.cors.credentials", "true"}}), HasSubstr("flag --set server.cors.credentials: server.cors.credentials is true for every origin (*)"));
    EXPECT_THAT(problem({{"server.cors.origins", "*, https://a.example"}}), HasSubstr("* stands alone"));
    EXPECT_THAT(problem({{"server.cors.origins", "https://a.example/path"}}), HasSubstr("no origin"));
    EXPECT_THAT(problem({{"server.cors.origins", "a.example"}}), HasSubstr("no origin"));
    EXPECT_THAT(problem({{"server.cors.credentials", "true"}}), HasSubstr("without server.cors.origins"));
    for (const auto* rate : {"100", "0/s", "x/s", "1/d", "1.5/s", "/s", "100/"}) EXPECT_THAT(problem({{"server.rate", rate}}), HasSubstr("write a count")) << rate;
    EXPECT_THAT(problem({{"server.rate_store", "redis://x"}}), HasSubstr("server.rate_store is not offered by this build"));
    EXPECT_THAT(problem({{"server.burst", "5"}}), HasSubstr("without server.rate"));
    EXPECT_THAT(problem({{"server.rate_key", "cookie"}}), HasSubstr("not ip, principal"));
    EXPECT_THAT(problem({{"server.trusted_proxies", "10.0.0.1/8"}}), HasSubstr("no network"));
    EXPECT_THAT(problem({{"server.access_log", "yes"}}), HasSubstr("not off, stderr or file:PATH"));
    EXPECT_THAT(problem({{"server.max_header_bytes", "2KiB"}}), HasSubstr("does not fit"));
    const auto both = problem({{"server.rate", "x"}, {"server.rate_key", "y"}});
    EXPECT_THAT(both, HasSubstr("server.rate is"));
    EXPECT_THAT(both, HasSubstr("server.rate_key is"));
}

}  // namespace
}  // namespace berth
