#pragma once

#include <cstdint>

namespace berth {

/// Which calls of modules run on fibers, where a wait holds no thread. Their instances are always made anew, which costs some
/// microseconds.
enum class Fibers : std::uint8_t {
    where_known,  // those of functions whose calls wait
    always,
    never,        // a thread for every call that waits
};

}  // namespace berth
