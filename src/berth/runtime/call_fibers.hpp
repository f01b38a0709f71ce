#pragma once

#include <cstdint>

namespace berth {

/// Which calls run on fibers, where a wait holds no thread. Instances of modules are then always made anew, which costs some
/// microseconds; calls of components are on fibers unless none is.
enum class Fibers : std::uint8_t {
    where_known,  // of modules those of functions whose calls wait
    always,
    never,        // a thread for every call that waits
};

}  // namespace berth
