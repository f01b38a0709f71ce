#include "berth/base/cbor.hpp"

#include <algorithm>

#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// What is read is what would be written: one encoding for each value.
int cbor(ByteView input) {
    const auto value = Cbor::decode(input);
    if (!value) {
        BERTH_ASSERT(value.error().code() == Code::bad_input && !value.error().message().empty());
        return 0;
    }
    const auto again = value->encode();
    BERTH_ASSERT(std::equal(again.begin(), again.end(), input.begin(), input.end()));
    return 0;
}

}  // namespace berth::fuzz
