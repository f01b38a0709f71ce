#include "spec/spec_value.hpp"

#include <charconv>
#include <cstring>

#include "berth/base/bytes.hpp"
#include "berth/base/format.hpp"

namespace berth::spec {
namespace {

bool parse_number(std::string_view text, std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

/// Takes what stands before `separator` off the front of `text`.
std::string_view take(std::string_view& text, char separator) {
    const auto at = text.find(separator);
    const auto front = text.substr(0, at);
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
    return front;
}

bool matches_float(std::string_view pattern, std::uint64_t bits, bool is_double) {
    const std::uint64_t fraction = is_double ? (std::uint64_t{1} << 52) - 1 : (std::uint64_t{1} << 23) - 1;
    const std::uint64_t exponent = is_double ? std::uint64_t{0x7ff} << 52 : std::uint64_t{0xff} << 23;
    const std::uint64_t quiet = is_double ? std::uint64_t{1} << 51 : std::uint64_t{1} << 22;
    if (pattern == "canonical") return (bits & exponent) == exponent && (bits & fraction) == quiet;
    if (pattern == "arithmetic") return (bits & exponent) == exponent && (bits & quiet) != 0;
    std::uint64_t wanted = 0;
    return parse_number(pattern, wanted) && wanted == bits;
}

bool matches_lanes(std::string_view patterns, const berth_test_value& value, bool is_double) {
    const std::size_t size = is_double ? 8 : 4;
    for (std::size_t at = 0; at < 16; at += size) {
        std::uint64_t lane = 0;
        std::memcpy(&lane, value.bits.v128 + at, size);
        if (!matches_float(take(patterns, ','), lane, is_double)) return false;
    }
    return true;
}

}  // namespace

Result<berth_test_value> parse_argument(std::string_view word) {
    berth_test_value value{};
    if (word == "null") {
        value.type = BERTH_EXTERNREF;
        value.is_null = true;
        return value;
    }
    std::string_view rest = word;
    const auto type = take(rest, ':');
    if (type == "v128") {
        Bytes bytes;
        if (!from_hex(rest, bytes) || bytes.size() != 16) return fail(Code::bad_input, format("{} is no vector", word));
        value.type = BERTH_V128;
        std::memcpy(value.bits.v128, bytes.data(), 16);
        return value;
    }
    constexpr std::string_view names[] = {"i32", "i64", "f32", "f64", "v128", "func", "extern"};
    for (std::uint32_t i = 0; i < std::size(names); ++i) {
        if (names[i] == type && parse_number(rest, value.bits.u64)) {
            value.type = i;
            return value;
        }
    }
    return fail(Code::bad_input, format("{} is no value", word));
}

bool matches(std::string_view expected, const berth_test_value& value) {
    if (expected == "null") return (value.type == BERTH_FUNCREF || value.type == BERTH_EXTERNREF) && value.is_null;
    if (expected == "func") return value.type == BERTH_FUNCREF && !value.is_null;
    if (expected == "extern") return value.type == BERTH_EXTERNREF && !value.is_null;
    if (expected.starts_with("either/")) {
        for (std::string_view rest = expected.substr(7); !rest.empty();) {
            if (matches(take(rest, '/'), value)) return true;
        }
        return false;
    }
    std::string_view rest = expected;
    const auto type = take(rest, ':');
    if (type == "f32") return value.type == BERTH_F32 && matches_float(rest, value.bits.u64, false);
    if (type == "f64") return value.type == BERTH_F64 && matches_float(rest, value.bits.u64, true);
    if (type == "f32x4") return value.type == BERTH_V128 && matches_lanes(rest, value, false);
    if (type == "f64x2") return value.type == BERTH_V128 && matches_lanes(rest, value, true);
    const auto wanted = parse_argument(expected);
    if (!wanted || wanted->type != value.type || value.is_null) return false;
    return std::memcmp(&wanted->bits, &value.bits, value.type == BERTH_V128 ? 16 : 8) == 0;
}

std::string to_text(const berth_test_value& value) {
    constexpr std::string_view names[] = {"i32", "i64", "f32", "f64", "v128", "func", "extern"};
    if (value.is_null) return "null";
    if (value.type == BERTH_V128) return "v128:" + to_hex(ByteView(value.bits.v128, 16));
    return format("{}:{}", value.type < std::size(names) ? names[value.type] : "?", value.bits.u64);
}

Result<std::string> parse_text(std::string_view word) {
    if (word == "-") return std::string();
    Bytes bytes;
    if (!from_hex(word, bytes)) return fail(Code::bad_input, format("{} is not hexadecimal", word));
    return std::string(as_text(bytes));
}

}  // namespace berth::spec
