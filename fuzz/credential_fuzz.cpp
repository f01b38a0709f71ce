#include <memory>
#include <string>
#include <vector>

#include "berth/base/base64.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/format.hpp"
#include "berth/server/authenticator.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// A credential as it comes in a request: the first line is the whole field, the second the header and the third the claims of
/// a token that is signed as nobody could. None of it may be taken for somebody.
int credential(ByteView input) {
    static const auto clock = [] {
        auto made = std::make_unique<FakeClock>();
        made->set_wall_start(1'000'000'000'000'000);
        return made;
    }();
    static const auto authenticator = [] {
        AuthSettings settings;
        auto keys = std::make_shared<std::vector<JoseKey>>();
        keys->push_back(JoseKey::secret("a secret of more than thirty-two bytes, which no input knows"));
        keys->push_back(std::move(*JoseKey::from_jwk(R"({"kty":"OKP","crv":"Ed25519","kid":"one","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})")));
        settings.keys = std::move(keys);
        settings.algorithms = {JoseAlgorithm::hs256, JoseAlgorithm::eddsa};
        settings.admin_digest = std::string(64, '0');
        return std::make_unique<Authenticator>(Authenticator::Options{.settings = std::move(settings)}, *clock);
    }();
    auto rest = as_text(input);
    const auto next = [&] {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        return line;
    };
    const auto nobody = [](std::string_view field) {
        HttpRequest request;
        request.fields.push_back({"Authorization", field});
        const auto caller = authenticator->identify(request);
        BERTH_ASSERT(!caller && caller.error().code() == Code::unauthorized);
        BERTH_ASSERT(!authenticator->prepare(request));  // no keys are at an address
        BERTH_ASSERT(!authenticator->admin(request));
    };
    const auto whole = next(), header = next(), claims = next();
    nobody(whole);
    nobody(format("Bearer {}.{}.{}", base64url(header), base64url(claims), base64url("no signature of anybody's")));
    nobody(format("Bearer {}.{}.", base64url(header), base64url(claims)));
    return 0;
}

}  // namespace berth::fuzz
