#include <bit>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"

namespace berth {
namespace {

bool is_space(unsigned char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(unsigned char c) noexcept { return c >= '0' && c <= '9'; }

int hex_value(unsigned char c) noexcept {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_plain(unsigned char c) noexcept { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

/// Where the first byte at or after `at` stands that is not plain ASCII inside a string.
std::size_t end_of_plain(std::string_view text, std::size_t at) noexcept {
#ifdef __SSE2__
    const auto quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);
    for (; text.size() - at >= 16; at += 16) {
        const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
        // Bytes from 0x80 on are negative, so they are less than a space too.
        const auto other = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, escape)), _mm_cmplt_epi8(bytes, space));
        if (const auto found = static_cast<unsigned>(_mm_movemask_epi8(other)); found != 0) return at + static_cast<unsigned>(std::countr_zero(found));
    }
#endif
    while (at < text.size() && is_plain(static_cast<unsigned char>(text[at]))) ++at;
    return at;
}

}  // namespace

bool JsonChecker::wrong(std::string_view what) noexcept {
    state_ = State::failed;
    problem_ = what;
    return false;
}

bool JsonChecker::push(bool object) noexcept {
    if (depth_ == max_depth_ || depth_ == 1024) return wrong("nested too deeply");
    const std::uint64_t bit = std::uint64_t{1} << (depth_ % 64);
    if (object) {
        levels_[depth_ / 64] |= bit;
    } else {
        levels_[depth_ / 64] &= ~bit;
    }
    ++depth_;
    state_ = object ? State::first_key : State::first_element;
    return true;
}

bool JsonChecker::start_value(unsigned char byte) noexcept {
    switch (byte) {
        case '{': return push(true);
        case '[': return push(false);
        case '"':
            state_ = State::string;
            string_is_key_ = false;
            return true;
        case 't': literal_ = "true"; break;
        case 'f': literal_ = "false"; break;
        case 'n': literal_ = "null"; break;
        case '-': state_ = State::minus; return true;
        case '0': state_ = State::zero; return true;
        default:
            if (byte >= '1' && byte <= '9') {
                state_ = State::integer;
                return true;
            }
            return wrong("a value was expected");
    }
    literal_at_ = 1;
    state_ = State::literal;
    return true;
}

bool JsonChecker::end_value() noexcept {
    state_ = depth_ == 0 ? State::done : State::after_value;
    return true;
}

bool JsonChecker::take(unsigned char byte) noexcept {
    switch (state_) {
        case State::value: return is_space(byte) || start_value(byte);
        case State::first_element:
            if (is_space(byte)) return true;
            if (byte == ']') {
                --depth_;
                return end_value();
            }
            return start_value(byte);
        case State::first_key:
        case State::key:
            if (is_space(byte)) return true;
            if (byte == '"') {
                state_ = State::string;
                string_is_key_ = true;
                return true;
            }
            if (byte == '}' && state_ == State::first_key) {
                --depth_;
                return end_value();
            }
            return wrong("a key in double quotes was expected");
        case State::colon:
            if (is_space(byte)) return true;
            if (byte != ':') return wrong("\":\" was expected after a key");
            state_ = State::value;
            return true;
        case State::after_value:
            if (is_space(byte)) return true;
            if (byte == ',') {
                state_ = in_object() ? State::key : State::value;
                return true;
            }
            if (byte == (in_object() ? '}' : ']')) {
                --depth_;
                return end_value();
            }
            return wrong(in_object() ? "\",\" or \"}\" was expected" : "\",\" or \"]\" was expected");
        case State::string:
            if (continuation_ != 0) {
                if (byte < low_ || byte > high_) return wrong("the text is no UTF-8");
                low_ = 0x80;
                high_ = 0xBF;
                --continuation_;
                return true;
            }
            if (byte == '"') {
                if (string_is_key_) {
                    state_ = State::colon;
                    return true;
                }
                return end_value();
            }
            if (byte == '\\') {
                state_ = State::escape;
                return true;
            }
            if (byte < 0x20) return wrong("a control character stands in a string");
            if (byte < 0x80) return true;
            if (byte >= 0xC2 && byte <= 0xDF) {
                continuation_ = 1;
            } else if (byte >= 0xE0 && byte <= 0xEF) {
                continuation_ = 2;
                if (byte == 0xE0) low_ = 0xA0;
                if (byte == 0xED) high_ = 0x9F;
            } else if (byte >= 0xF0 && byte <= 0xF4) {
                continuation_ = 3;
                if (byte == 0xF0) low_ = 0x90;
                if (byte == 0xF4) high_ = 0x8F;
            } else {
                return wrong("the text is no UTF-8");
            }
            return true;
        case State::escape:
            if (byte == 'u') {
                state_ = State::unicode;
                unicode_digits_ = 0;
                return true;
            }
            if (std::memchr("\"\\/bfnrt", byte, 8) == nullptr) return wrong("no such escape");
            state_ = State::string;
            return true;
        case State::unicode:
            if (hex_value(byte) < 0) return wrong("four hexadecimal digits were expected after \\u");
            if (++unicode_digits_ == 4) state_ = State::string;
            return true;
        case State::literal:
            if (byte != static_cast<unsigned char>(literal_[literal_at_])) return wrong("a value was expected");
            if (++literal_at_ == literal_.size()) return end_value();
            return true;
        case State::minus:
            if (byte == '0') {
                state_ = State::zero;
                return true;
            }
            if (!is_digit(byte)) return wrong("a digit was expected after \"-\"");
            state_ = State::integer;
            return true;
        case State::zero:
        case State::integer:
            if (is_digit(byte)) return state_ == State::integer || wrong("a number cannot start with 0");
            if (byte == '.') {
                state_ = State::point;
                return true;
            }
            if (byte == 'e' || byte == 'E') {
                state_ = State::exponent;
                return true;
            }
            return end_value() && (is_space(byte) || take(byte));
        case State::point:
            if (!is_digit(byte)) return wrong("a digit was expected after \".\"");
            state_ = State::fraction;
            return true;
        case State::fraction:
            if (is_digit(byte)) return true;
            if (byte == 'e' || byte == 'E') {
                state_ = State::exponent;
                return true;
            }
            return end_value() && (is_space(byte) || take(byte));
        case State::exponent:
            if (byte == '+' || byte == '-') {
                state_ = State::exponent_sign;
                return true;
            }
            [[fallthrough]];
        case State::exponent_sign:
            if (!is_digit(byte)) return wrong("a digit was expected in the exponent");
            state_ = State::exponent_digits;
            return true;
        case State::exponent_digits:
            if (is_digit(byte)) return true;
            return end_value() && (is_space(byte) || take(byte));
        case State::done: return is_space(byte) || wrong("something follows the value");
        case State::failed: return false;
    }
    return false;
}

bool JsonChecker::feed(std::string_view part) noexcept {
    const auto size = part.size();
    const auto begin = position_;
    std::size_t i = 0;
    const auto byte = [&] { return static_cast<unsigned char>(part[i]); };
    while (i < size) {
        // Most of most inputs is plain ASCII inside strings, numbers and indentation; `take` knows the rest.
        switch (state_) {
            case State::string:
                if (continuation_ == 0) i = end_of_plain(part, i);
                break;
            case State::integer:
            case State::fraction:
            case State::exponent_digits:
                while (i < size && is_digit(byte())) ++i;
                if (i < size && byte() == ',' && depth_ != 0) {
                    state_ = in_object() ? State::key : State::value;
                    ++i;
                    continue;
                }
                if (i < size && byte() == '.' && state_ == State::integer) {
                    state_ = State::point;
                    ++i;
                    continue;
                }
                break;
            case State::value:
                while (i < size && is_space(byte())) ++i;
                if (i < size && byte() >= '1' && byte() <= '9') {
                    state_ = State::integer;
                    ++i;
                    continue;
                }
                break;
            case State::point:
                if (is_digit(byte())) {
                    state_ = State::fraction;
                    ++i;
                    continue;
                }
                break;
            case State::key:
            case State::first_key:
            case State::first_element:
            case State::after_value:
            case State::done:
                while (i < size && is_space(byte())) ++i;
                break;
            default: break;
        }
        if (i == size) break;
        if (!take(byte())) {
            position_ = begin + i;
            return false;
        }
        ++i;
    }
    position_ = begin + i;
    return true;
}

bool JsonChecker::finish() noexcept {
    switch (state_) {
        case State::done: return true;
        case State::zero:
        case State::integer:
        case State::fraction:
        case State::exponent_digits:
            if (depth_ == 0) {
                state_ = State::done;
                return true;
            }
            return wrong("the text ends inside a value");
        case State::failed: return false;
        case State::value:
            if (depth_ == 0) return wrong("the text is empty");
            [[fallthrough]];
        default: return wrong("the text ends inside a value");
    }
}

Result<void> check_json(std::string_view text, std::size_t max_depth) {
    JsonChecker checker(max_depth);
    if (checker.feed(text) && checker.finish()) return {};
    return fail(Code::bad_input, format("not valid JSON at byte {}: {}", checker.position(), checker.problem()));
}

}  // namespace berth
