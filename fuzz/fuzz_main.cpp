// The program of one target; BERTH_FUZZ_TARGET is its function.
#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return berth::fuzz::BERTH_FUZZ_TARGET(berth::ByteView(data, size));
}
