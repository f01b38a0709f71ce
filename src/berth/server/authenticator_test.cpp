#include "berth/server/authenticator.hpp"

#include <gtest/gtest.h>

#include "berth/base/base64.hpp"
#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"

namespace berth {
namespace {

class AuthenticatorTest : public ::testing::Test {
protected:
    AuthenticatorTest() {
        clock_.set_wall_start(1'000'000'000'000'000);
        settings_.admin_digest = to_hex(sha256(as_bytes("the-administrator")));
        settings_.tokens = {{"robot", to_hex(sha256(as_bytes("plain-token")))}};
        auto keys = std::make_shared<std::vector<JoseKey>>();
        keys->push_back(JoseKey::secret(secret));
        settings_.keys = std::move(keys);
        settings_.algorithms = {JoseAlgorithm::hs256};
    }
    static std::string token(std::string_view claims, std::string_view header = R"({"alg":"HS256"})", std::string_view key = secret) {
        const auto text = base64url(header) + "." + base64url(claims);
        const auto mac = hmac_sha256(as_bytes(key), as_bytes(text));
        return text + "." + base64url(as_text(ByteView(mac)));
    }
    static HttpRequest asking(std::string authorization) {
        static std::string kept;  // fields are views
        kept = std::move(authorization);
        HttpRequest request;
        if (!kept.empty()) request.fields.push_back({"Authorization", kept});
        return request;
    }
    std::string who(const std::string& authorization) {
        const Authenticator authenticator({.settings = settings_}, clock_);
        const auto caller = authenticator.identify(asking(authorization));
        if (!caller) return std::string(name(caller.error().code())) + ": " + std::string(caller.error().message());
        return (caller->subject ? caller->subject->id : "nobody") + (caller->admin ? " (admin)" : "");
    }


    static inline const std::string secret = "a secret of more than thirty-two bytes";
    AuthSettings settings_;
    FakeClock clock_;
};

TEST_F(AuthenticatorTest, CredentialsSayWhoSomebodyIs) {
    EXPECT_EQ(who(""), "nobody");
    EXPECT_EQ(who("Bearer the-administrator"), "nobody (admin)");
    EXPECT_EQ(who("bearer plain-token"), "robot");
    EXPECT_EQ(who("Bearer " + token(R"({"sub":"ada","exp":1000100})")), "ada");
    EXPECT_EQ(who("Bearer " + token(R"({"sub":"root","role":"admin","exp":1000100})")), "root (admin)");
    EXPECT_EQ(who("Bearer " + token(R"({"sub":"ada","exp":999950})")), "ada");  // leeway
}

TEST_F(AuthenticatorTest, WrongCredentialsAreRefusedEvenWhereNoneIsNeeded) {
    const std::string claims = R"({"sub":"ada","exp":1000100})";
    auto altered = token(claims);
    altered[altered.size() - 5] = altered[altered.size() - 5] == 'A' ? 'B' : 'A';
    for (const auto& wrong : {std::string("Basic YWRhOng="), std::string("Bearer "), std::string("Bearer x.y.z"), "Bearer " + altered, "Bearer " + token(claims, R"({"alg":"none"})"), "Bearer " + token(claims, R"({"alg":"HS512"})"),
                              "Bearer " + token(claims, R"({"alg":"HS256","crit":["x"]})"), "Bearer " + token(claims, R"({"alg":"HS256"})", "another secret of thirty-two bytes and more"), "Bearer " + token(R"({"sub":"ada"})"),
                              "Bearer " + token(R"({"sub":"ada","exp":999000})"), "Bearer " + token(R"({"sub":"ada","exp":1000100,"nbf":1000090})"), "Bearer " + token(R"({"exp":1000100})"), "Bearer " + token(claims) + ".x",
                              "Bearer " + std::string(9000, 'a')})
        EXPECT_TRUE(who(wrong).starts_with("unauthorized")) << wrong << " is " << who(wrong);
}

TEST_F(AuthenticatorTest, IssuerAndAudienceAreComparedWhenTheyAreConfigured) {
    settings_.issuer = "https://issuer.example";
    settings_.audience = "berth";
    EXPECT_EQ(who("Bearer " + token(R"({"sub":"ada","exp":1000100,"iss":"https://issuer.example","aud":"berth"})")), "ada");
    EXPECT_EQ(who("Bearer " + token(R"({"sub":"ada","exp":1000100,"iss":"https://issuer.example","aud":["x","berth"]})")), "ada");
    for (const auto* claims : {R"({"sub":"ada","exp":1000100})", R"({"sub":"ada","exp":1000100,"iss":"https://issuer.example"})", R"({"sub":"ada","exp":1000100,"iss":"https://issuer.example","aud":["x"]})",
                               R"({"sub":"ada","exp":1000100,"iss":["https://issuer.example"],"aud":"berth"})"})
        EXPECT_TRUE(who("Bearer " + token(claims)).starts_with("unauthorized")) << claims;
}

TEST_F(AuthenticatorTest, APublicKeyIsNoSecret) {
    // The classic confusion: HS256 "signed" with the bytes of a public key.
    const std::string x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    auto keys = std::make_shared<std::vector<JoseKey>>();
    keys->push_back(std::move(*JoseKey::from_jwk(format(R"({{"kty":"OKP","crv":"Ed25519","x":"{}"}})", x))));
    settings_.keys = std::move(keys);
    settings_.algorithms = {JoseAlgorithm::eddsa, JoseAlgorithm::hs256};
    EXPECT_TRUE(who("Bearer " + token(R"({"sub":"ada","exp":1000100})", R"({"alg":"HS256"})", *from_base64url(x))).starts_with("unauthorized"));
    EXPECT_TRUE(who("Bearer " + token(R"({"sub":"ada","exp":1000100})", R"({"alg":"HS256"})", x)).starts_with("unauthorized"));
}

TEST_F(AuthenticatorTest, ChangedSettingsDecideFromThenOn) {
    Authenticator authenticator({.settings = settings_}, clock_);
    EXPECT_TRUE(authenticator.identify(asking("Bearer plain-token")));
    settings_.tokens.clear();
    authenticator.set({.settings = settings_});
    EXPECT_FALSE(authenticator.identify(asking("Bearer plain-token")));
}

TEST_F(AuthenticatorTest, LocalRequestsAreTheAdministratorsUnlessAPageOfAnotherSiteCausedThem) {
    const auto admin = [&](std::string_view peer, std::vector<HttpField> fields) {
        const Authenticator authenticator({.settings = settings_, .local_is_admin = true}, clock_);
        HttpRequest request;
        request.peer = *PeerAddress::parse(peer);
        request.fields = std::move(fields);
        return authenticator.admin(request).has_value();
    };
    EXPECT_TRUE(admin("127.0.0.1", {{"Host", "127.0.0.1:9090"}}));
    EXPECT_TRUE(admin("::1", {{"Host", "[::1]:9090"}}));
    EXPECT_TRUE(admin("127.0.0.1", {{"Host", "LocalHost"}, {"Origin", "http://localhost:3000"}}));
    EXPECT_FALSE(admin("192.0.2.1", {{"Host", "127.0.0.1:9090"}}));
    EXPECT_FALSE(admin("127.0.0.1", {{"Host", "evil.example:9090"}}));  // DNS rebinding
    EXPECT_FALSE(admin("127.0.0.1", {{"Host", "127.0.0.1.evil.example"}}));
    EXPECT_FALSE(admin("127.0.0.1", {}));
    EXPECT_FALSE(admin("127.0.0.1", {{"Host", "localhost"}, {"Origin", "https://evil.example"}}));
    EXPECT_FALSE(admin("127.0.0.1", {{"Host", "localhost"}, {"Origin", "null"}}));
    EXPECT_FALSE(admin("127.0.0.1", {{"Host", "localhost"}, {"Origin", "http://localhost.evil.example"}}));
    EXPECT_FALSE(admin("127.0.0.1", {{"Host", "localhost"}, {"X-Forwarded-For", "192.0.2.1"}}));
}

}  // namespace
}  // namespace berth
