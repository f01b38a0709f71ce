#pragma once

namespace berth {

#ifndef __has_feature  // how clang says it; g++ has macros
#define BERTH_HAS_FEATURE(name) 0
#else
#define BERTH_HAS_FEATURE(name) __has_feature(name)
#endif

/// What this build is instrumented with. For sizes that do not fit beside a sanitizer; behaviour stays the same.
#if defined(__SANITIZE_ADDRESS__) || BERTH_HAS_FEATURE(address_sanitizer)
inline constexpr bool address_sanitized = true;
#else
inline constexpr bool address_sanitized = false;
#endif

#if defined(__SANITIZE_THREAD__) || BERTH_HAS_FEATURE(thread_sanitizer)
inline constexpr bool thread_sanitized = true;
#else
inline constexpr bool thread_sanitized = false;
#endif

#undef BERTH_HAS_FEATURE

}  // namespace berth
