#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "berth/telemetry/log.hpp"

namespace berth {

/// Hides secrets, and the token of one call, in what is shown or stored of that call. Texts that are cut lose at the cut what may
/// be a part of a secret. Any thread, once it has its token.
class SecretHider {
public:
    explicit SecretHider(const Redactor& redactor) : redactor_(redactor) {}

    void set_token(std::string token) { token_ = std::move(token); }
    std::string all(std::string text) const;
    /// Of JSON text, which stays that.
    std::string json(std::string text) const;
    /// Of a text that goes on, and of one that had a beginning.
    std::string beginning(std::string_view text) const;
    std::string end(std::string_view text) const;
    /// How much of the beginning of a text that goes on has no part of a secret at its end.
    std::size_t safe_end(std::string_view text) const;

private:
    const Redactor& redactor_;
    std::string token_;
};

}  // namespace berth
