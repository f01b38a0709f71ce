#include <malloc.h>

#include "berth/cli/verb.hpp"

int main(int argc, char** argv) {
    // What large payloads took goes back to the system with them: left to itself the allocator keeps blocks of up to 32 MiB in each of its
    // arenas once the first was given back.
    ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 8 << 20);
    return berth::cli::main(argc, argv);
}
