#include <gmock/gmock.h>

#include <cstring>

#include "berth/app/compile_apart.hpp"

/// The test executable stands in for the binary where that starts itself again.
int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], berth::compile_apart_word) == 0) return berth::compile_apart_main(argc, argv);
    testing::InitGoogleMock(&argc, argv);
    return RUN_ALL_TESTS();
}
