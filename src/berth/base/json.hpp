#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

/// Checks that a byte stream is exactly one JSON text (RFC 8259) in strict UTF-8, without building anything from it.
///
/// Bytes may arrive in any parts; memory use is one bit for each level of nesting. Nothing is re-encoded: what was
/// checked can be passed on byte for byte. One thread at a time.
class JsonChecker {
public:
    explicit JsonChecker(std::size_t max_depth = 512) : max_depth_(max_depth) {}

    /// False from the first wrong byte on; `position` and `problem` then say where and what.
    bool feed(std::string_view part) noexcept;
    /// Call at the end of the input: whether one whole value was seen.
    bool finish() noexcept;

    std::uint64_t position() const noexcept { return position_; }
    std::string_view problem() const noexcept { return problem_; }

private:
    enum class State : std::uint8_t {
        value, first_element, first_key, key, colon, after_value, string, escape, unicode, literal,
        minus, zero, integer, point, fraction, exponent, exponent_sign, exponent_digits, done, failed,
    };
    bool take(unsigned char byte) noexcept;
    bool start_value(unsigned char byte) noexcept;
    bool end_value() noexcept;
    bool wrong(std::string_view what) noexcept;
    bool in_object() const noexcept { return (levels_[(depth_ - 1) / 64] >> ((depth_ - 1) % 64) & 1) != 0; }
    bool push(bool object) noexcept;

    State state_ = State::value;
    bool string_is_key_ = false;
    std::uint8_t unicode_digits_ = 0;
    std::uint8_t continuation_ = 0;      // UTF-8 bytes still expected
    std::uint8_t low_ = 0x80, high_ = 0xBF;
    std::string_view literal_;
    std::size_t literal_at_ = 0;
    std::size_t max_depth_;
    std::size_t depth_ = 0;
    std::uint64_t levels_[16] = {};      // bit set: object; max_depth is at most 1,024
    std::uint64_t position_ = 0;
    std::string_view problem_;
};

/// Whether `text` is one JSON text; the error is bad_input with the byte position and what is wrong there.
Result<void> check_json(std::string_view text, std::size_t max_depth = 512);

/// One member of an object, or one element of an array, as the bytes that stand in the text.
struct JsonMember {
    std::string key;         // decoded; empty for an element
    std::string_view value;  // raw, without surrounding white space; valid as long as the text
};

/// The members of the object (duplicates kept, in order) or elements of the array that `text` is, raw.
/// Fails with bad_input when `text` is no JSON or no object (array).
Result<std::vector<JsonMember>> json_members(std::string_view text);
Result<std::vector<std::string_view>> json_elements(std::string_view text);

enum class JsonKind : std::uint8_t { null, boolean, number, string, array, object };
/// Kind of a checked value by its first byte.
JsonKind json_kind(std::string_view value) noexcept;

/// Decodes a raw JSON string. Lone surrogates become U+FFFD.
Result<std::string> json_string(std::string_view raw);

/// `text` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);
void append_json_quoted(std::string& out, std::string_view text);

/// Writes one JSON value into a string, member after member. Commas are its business, nesting is the caller's.
class JsonWriter {
public:
    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view key);
    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool flag);
    JsonWriter& value(std::int64_t number);
    JsonWriter& value(std::uint64_t number);
    JsonWriter& value(int number) { return value(static_cast<std::int64_t>(number)); }
    JsonWriter& value(unsigned number) { return value(static_cast<std::uint64_t>(number)); }
    JsonWriter& value(double number);
    JsonWriter& null();
    /// A value that is JSON text already.
    JsonWriter& raw(std::string_view json);
    template <class T>
    JsonWriter& member(std::string_view name, const T& content) { return key(name).value(content); }

    const std::string& text() const noexcept { return text_; }
    std::string take() noexcept { return std::move(text_); }

private:
    void separate();
    std::string text_;
    bool first_ = true;
};

}  // namespace berth
