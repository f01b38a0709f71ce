#pragma once

#include <optional>
#include <string>

#include "berth/base/error.hpp"
#include "berth_native/engine.h"

namespace berth::native {

/// The code for what the engine binding reports.
Code code_of(berth_error_kind kind) noexcept;

/// Takes the error over; nothing when `error` is null.
std::optional<Error> take(berth_error* error);

/// `BERTH_TRYV(native::check(berth_…(…)))`
inline Result<> check(berth_error* error) {
    if (auto taken = take(error)) return fail(*std::move(taken));
    return {};
}

/// Takes the bytes over as a text or as bytes.
std::string take_text(berth_bytes bytes);

inline std::string_view view(berth_text text) noexcept { return {text.data, text.size}; }

}  // namespace berth::native
