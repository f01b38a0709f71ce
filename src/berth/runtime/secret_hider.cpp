#include "berth/runtime/secret_hider.hpp"

#include "berth/base/json.hpp"

namespace berth {

std::string SecretHider::all(std::string text) const { return redactor_.apply(std::move(text), token_); }

std::string SecretHider::json(std::string text) const {
    auto hidden = all(text);
    if (hidden == text || check_json(hidden)) return hidden;
    return "{\"hidden\":" + json_quote(hidden) + "}";
}

std::string SecretHider::beginning(std::string_view text) const { return all(std::string(text.substr(0, safe_end(text)))); }

std::string SecretHider::end(std::string_view text) const { return all(std::string(text.substr(redactor_.safe_begin(text, token_)))); }

std::size_t SecretHider::safe_end(std::string_view text) const { return redactor_.safe_end(text, token_); }

}  // namespace berth
