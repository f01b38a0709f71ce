#pragma once

#include <cstdint>

namespace berth {

// What the host and `berth-fn-exec` have to agree on. Both come from one build, and the version is checked.

/// The descriptors that the helper finds open; from `first_join` on there are files that it joins a control group by.
enum class ExecDescriptor : int { plan = 3, report = 4, directory = 5, first_join = 6 };

/// A step of starting a program; what the helper reports when one fails.
enum class ExecStep : std::uint32_t { plan, session, directory, join, limits, user, parent, privileges, close, execute };
struct ExecReport {
    std::uint32_t step = 0;
    std::int32_t problem = 0;  // errno
};

/// The head of the plan. Behind it: `groups` ids of 4 bytes, then texts that end in a zero byte: the program, its arguments, its
/// environment.
struct ExecHead {
    static constexpr std::uint32_t magic_value = 0x42465831;  // BFX1
    std::uint32_t magic = magic_value;
    std::uint32_t size = 0;       // of the whole plan
    std::int32_t parent = 0;
    std::uint32_t joins = 0;
    std::uint32_t arguments = 0;
    std::uint32_t variables = 0;
    std::uint32_t no_new_privileges = 1;
    std::uint32_t has_user = 0;
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::uint32_t groups = 0;
    std::uint32_t reserved = 0;
    std::uint64_t limits[3][2] = {};  // open files, processor seconds, file size: soft and hard; the largest number: as it is
};

}  // namespace berth
