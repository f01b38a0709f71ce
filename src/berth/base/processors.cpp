#include "berth/base/processors.hpp"

#include <algorithm>
#include <sched.h>
#include <thread>

namespace berth {

unsigned usable_processors() noexcept {
    static const unsigned count = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        // Fails on machines with more processors than the set has room for.
        if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
        return std::max(1U, std::thread::hardware_concurrency());
    }();
    return count;
}

}  // namespace berth
