#include <algorithm>

#include "berth/runtime/file_signature.hpp"
#include "berth/runtime/receipt.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

int receipt(ByteView input) {
    if (const auto opened = SignedReceipt::open(input)) {
        const auto block = opened->block();
        BERTH_ASSERT(std::equal(block.begin(), block.end(), input.begin(), input.end()));
    } else {
        BERTH_ASSERT(opened.error().code() == Code::receipt_invalid || opened.error().code() == Code::version_unsupported);
    }
    if (const auto signature = FileSignature::decode(input)) static_cast<void>(signature->verify(input));
    return 0;
}

}  // namespace berth::fuzz
