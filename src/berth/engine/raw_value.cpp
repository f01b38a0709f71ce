#include "berth/engine/raw_value.hpp"

#include <array>

namespace berth {

std::string_view name(ValueType type) noexcept {
    constexpr std::array<std::string_view, 7> names{"i32", "i64", "f32", "f64", "v128", "funcref", "externref"};
    return names[static_cast<std::size_t>(type)];
}

std::string to_text(const FunctionType& type) {
    std::string text = "(";
    for (const auto param : type.params) text.append(text.size() > 1 ? ", " : "").append(name(param));
    text += ") -> ";
    if (type.results.size() == 1) return text.append(name(type.results.front()));
    text += "(";
    bool first = true;
    for (const auto result : type.results) {
        text.append(first ? "" : ", ").append(name(result));
        first = false;
    }
    return text + ")";
}

}  // namespace berth
