#include "berth/app/trust_store.hpp"

#include "fuzz/targets.hpp"

namespace berth::fuzz {

int trust_store(ByteView input) {
    const SignedModule module{.digest = Digest{}, .signer = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", .problem = {}};
    const auto checked = check_trust_text(as_text(input), "name", module, WallTime(std::chrono::seconds(1'800'000'000)));
    if (!checked) BERTH_ASSERT(checked.error().code() == Code::config_error || checked.error().code() == Code::signature_invalid);
    return 0;
}

}  // namespace berth::fuzz
