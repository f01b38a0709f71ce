#include "berth/host/providers/network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth {
namespace {

using ::testing::HasSubstr;

class NetworkGuardTest : public ::testing::Test {
protected:
    void allow(std::vector<std::string> origins, bool is_private = false) {
        Policy policy;
        policy.from = "test.yaml:1";
        policy.grants[Capability::net_fetch].scope = {.patterns = std::move(origins), .allow_private = is_private, .redirects = 5};
        const AskedCapability asked[] = {{Capability::net_fetch, "test", false}, {Capability::net_send, "test", false}};
        grants_ = *GrantSet::resolve(asked, &policy, Missing::deny_at_call);
        guard_ = std::make_unique<NetworkGuard>(*grants_);
    }
    bool reaches(std::string_view url, std::string_view address) {
        const auto parsed = *Url::parse(url);
        return guard_->check(Capability::net_fetch, parsed) && guard_->check(Capability::net_fetch, parsed, *IpAddress::parse(address));
    }

    std::unique_ptr<GrantSet> grants_;
    std::unique_ptr<NetworkGuard> guard_;
};

TEST_F(NetworkGuardTest, AddressesOfSpecialUseNeedAGrantOfTheirOwn) {
    allow({"*"});
    EXPECT_TRUE(reaches("http://a.example/", "93.184.216.34"));
    for (const char* address : {"127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "224.0.0.1", "0.0.0.0"}) {
        EXPECT_FALSE(reaches("http://a.example/", address)) << address;
    }
    EXPECT_FALSE(reaches("http://127.0.0.1/", "127.0.0.1"));
    allow({"*", "http://127.0.0.1:8080"});
    EXPECT_TRUE(reaches("http://127.0.0.1:8080/", "127.0.0.1"));
    EXPECT_TRUE(reaches("http://[::ffff:127.0.0.1]:8080/", "127.0.0.1"));
    EXPECT_TRUE(reaches("http://local.example:8080/", "127.0.0.1"));
    EXPECT_FALSE(reaches("http://127.0.0.1:8081/", "127.0.0.1"));
    EXPECT_FALSE(reaches("http://127.0.0.2:8080/", "127.0.0.2"));
    allow({"http://a.example"}, true);
    EXPECT_TRUE(reaches("http://a.example/", "10.0.0.1"));
    EXPECT_FALSE(reaches("http://b.example/", "10.0.0.1"));
}

TEST_F(NetworkGuardTest, ARefusalSaysWhatToWrite) {
    allow({"https://a.example/v1"});
    const auto outside = guard_->check(Capability::net_fetch, *Url::parse("https://a.example/v2/secret"));
    ASSERT_FALSE(outside);
    EXPECT_EQ(outside.error().code(), Code::capability_denied);
    EXPECT_THAT(outside.error().from(), HasSubstr("https://a.example/v1 only"));
    const auto denial = guard_->take_denial();
    ASSERT_TRUE(denial);
    EXPECT_EQ(denial->scope, "https://a.example");
    EXPECT_FALSE(guard_->take_denial());
    const auto inside = guard_->check(Capability::net_fetch, *Url::parse("https://a.example/v1"), *IpAddress::parse("10.0.0.7"));
    ASSERT_FALSE(inside);
    EXPECT_THAT(inside.error().message(), HasSubstr("whose address 10.0.0.7 is private"));
    EXPECT_THAT(inside.error().fix(), HasSubstr("origins: [\"https://10.0.0.7\"]"));
    const auto other = guard_->check(Capability::net_send, *Url::parse("https://a.example/v1"));
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().message(), HasSubstr("net.send"));
}

}  // namespace
}  // namespace berth
