#include "berth/runtime/bare_values.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "berth/base/bytes.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"

namespace berth {
namespace {

constexpr std::int64_t safe_integer = std::int64_t{1} << 53;

/// A whole number as it is written in JSON or with the suffix `n`; fractions and exponents are none.
bool whole_number(std::string_view text, std::int64_t& value, bool& is_unsigned) {
    is_unsigned = false;
    const auto* end = text.data() + text.size();
    if (const auto [rest, error] = std::from_chars(text.data(), end, value); error == std::errc() && rest == end) return true;
    std::uint64_t large = 0;
    const auto [rest, error] = std::from_chars(text.data(), end, large);
    if (error != std::errc() || rest != end) return false;
    value = static_cast<std::int64_t>(large);
    is_unsigned = true;
    return true;
}

Result<RawValue> read_one(std::string_view text, JsonKind kind, ValueType type, std::size_t index) {
    const auto refused = [&](std::string_view takes) -> std::unexpected<Error> {
        return fail(Code::bad_input, format("argument {} is {}, but the parameter is {} and takes {}", index, text, name(type), takes));
    };
    if (kind == JsonKind::boolean) text = text == "true" ? "1" : "0";
    std::int64_t whole = 0;
    bool is_unsigned = false;
    switch (type) {
        case ValueType::i32:
            if ((kind != JsonKind::number && kind != JsonKind::boolean) || !whole_number(text, whole, is_unsigned) || is_unsigned || whole < INT32_MIN || whole > UINT32_MAX) {
                return refused("a whole number from -2147483648 to 4294967295");
            }
            return RawValue::of(static_cast<std::uint32_t>(whole));
        case ValueType::i64:
            if (kind == JsonKind::string) {
                auto digits = text.substr(1, text.size() - 2);
                if (!digits.ends_with('n')) return refused("a whole number, or text of digits with the suffix n");
                digits.remove_suffix(1);
                if (!whole_number(digits, whole, is_unsigned)) return refused("64 bits");
                return RawValue::of(whole);
            }
            if ((kind != JsonKind::number && kind != JsonKind::boolean) || !whole_number(text, whole, is_unsigned) || is_unsigned || whole > safe_integer || whole < -safe_integer) {
                return refused("a whole number up to 2^53, or larger ones as text with the suffix n");
            }
            return RawValue::of(whole);
        case ValueType::f32:
        case ValueType::f64: {
            if (kind != JsonKind::number && kind != JsonKind::boolean) return refused("a number");
            const double value = std::strtod(std::string(text).c_str(), nullptr);
            return type == ValueType::f32 ? RawValue::of(static_cast<float>(value)) : RawValue::of(value);
        }
        case ValueType::v128:
        case ValueType::funcref:
        case ValueType::externref: return refused("nothing that can be written here");
    }
    return refused("nothing");
}

Result<void> check_count(std::size_t given, const FunctionType& type) {
    if (given == type.params.size()) return {};
    return fail(Code::bad_input, format("{} arguments were given, the export takes {}: {}", given, type.params.size(), to_text(type)));
}

}  // namespace

Result<void> read_arguments(std::string_view json, const FunctionType& type, std::vector<RawValue>& values) {
    values.assign(type.value_count(), RawValue());
    std::vector<std::string_view> elements;
    if (!json.empty()) {
        BERTH_TRY(elements, json_elements(json) | note([] { return "reading the arguments, a JSON array"; }));
    }
    BERTH_TRYV(check_count(elements.size(), type));
    for (std::size_t i = 0; i < elements.size(); ++i) {
        BERTH_TRY(values[i], read_one(elements[i], json_kind(elements[i]), type.params[i], i + 1));
    }
    return {};
}

Result<void> read_arguments(std::span<const std::string> texts, const FunctionType& type, std::vector<RawValue>& values) {
    std::string json = "[";
    for (const auto& text : texts) {
        if (json.size() > 1) json += ',';
        const bool big = text.size() > 1 && text.ends_with('n') && text.find_first_not_of("-0123456789") == text.size() - 1;
        if (big) {
            json += json_quote(text);
        } else if (check_json(text) && (json_kind(text) == JsonKind::number || json_kind(text) == JsonKind::boolean)) {
            json += text;
        } else {
            return fail(Code::bad_input, format("\"{}\" is no number; arguments of an export are numbers, true or false", text));
        }
    }
    return read_arguments(json + "]", type, values);
}

namespace {

std::string number_text(double value) {
    if (std::isnan(value)) return "\"NaN\"";
    if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return format("{}", value);
}

std::string write_one(const RawValue& value, ValueType type) {
    switch (type) {
        case ValueType::i32: return format("{}", value.i32);
        case ValueType::i64:
            if (value.i64 > safe_integer || value.i64 < -safe_integer) return format("\"{}n\"", value.i64);
            return format("{}", value.i64);
        case ValueType::f32: return number_text(static_cast<double>(value.f32));
        case ValueType::f64: return number_text(value.f64);
        case ValueType::v128: return json_quote(to_hex(ByteView(value.v128)));
        case ValueType::funcref:
        case ValueType::externref: return "null";
    }
    return "null";
}

}  // namespace

std::string write_results(std::span<const RawValue> values, const FunctionType& type) {
    if (type.results.empty()) return "null";
    if (type.results.size() == 1) return write_one(values[0], type.results[0]);
    std::string out = "[";
    for (std::size_t i = 0; i < type.results.size(); ++i) {
        if (i != 0) out += ',';
        out += write_one(values[i], type.results[i]);
    }
    return out + "]";
}

}  // namespace berth
