#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/cid.hpp"
#include "berth/base/error.hpp"

namespace berth {

/// A DAG-CBOR value (ipld.io specification of dag-cbor: strict, canonical CBOR; one encoding for each value).
///
/// Plain value type. Maps hold their keys in any order; `encode` sorts them.
class Cbor {
public:
    using Array = std::vector<Cbor>;
    using Map = std::vector<std::pair<std::string, Cbor>>;

    Cbor() = default;  // null
    Cbor(bool value) : value_(value) {}
    Cbor(std::uint64_t value) : value_(Number{value, false}) {}
    Cbor(std::int64_t value) : value_(value < 0 ? Number{static_cast<std::uint64_t>(-1 - value), true} : Number{static_cast<std::uint64_t>(value), false}) {}
    Cbor(int value) : Cbor(static_cast<std::int64_t>(value)) {}
    Cbor(double value) : value_(value) {}
    Cbor(std::string text) : value_(std::move(text)) {}
    Cbor(std::string_view text) : value_(std::string(text)) {}
    Cbor(const char* text) : value_(std::string(text)) {}
    Cbor(Bytes bytes) : value_(std::move(bytes)) {}
    Cbor(Cid link) : value_(std::move(link)) {}
    Cbor(Array array) : value_(std::move(array)) {}
    Cbor(Map map) : value_(std::move(map)) {}

    bool is_null() const noexcept { return std::holds_alternative<std::monostate>(value_); }
    const bool* boolean() const noexcept { return std::get_if<bool>(&value_); }
    const double* floating() const noexcept { return std::get_if<double>(&value_); }
    const std::string* text() const noexcept { return std::get_if<std::string>(&value_); }
    const Bytes* bytes() const noexcept { return std::get_if<Bytes>(&value_); }
    const Cid* link() const noexcept { return std::get_if<Cid>(&value_); }
    const Array* array() const noexcept { return std::get_if<Array>(&value_); }
    const Map* map() const noexcept { return std::get_if<Map>(&value_); }
    /// The member of a map, null pointer when this is no map or has none of that name.
    const Cbor* find(std::string_view key) const noexcept;
    /// A whole number that is not negative.
    const std::uint64_t* unsigned_number() const noexcept;
    /// A whole number that fits 64 signed bits.
    bool signed_number(std::int64_t& out) const noexcept;

    void encode(Bytes& out) const;
    Bytes encode() const;

    /// Reads exactly one value. Everything that `encode` would not write is refused (bad_input with the byte offset):
    /// indefinite lengths, longer heads than needed, unsorted or repeated keys, keys that are no text, NaN and infinities,
    /// other tags than 42, trailing bytes, nesting over 128. Claimed lengths never allocate.
    static Result<Cbor> decode(ByteView bytes);

private:
    struct Number {
        std::uint64_t magnitude;  // value, or -1 - value when negative
        bool negative;
    };
    std::variant<std::monostate, bool, Number, double, std::string, Bytes, Cid, Array, Map> value_;
    friend class CborReader;
};

/// The same encoding written piece by piece, for hot paths that know the order of their keys.
namespace cbor {
void put_map(Bytes& out, std::uint64_t members);
void put_number(Bytes& out, std::uint64_t value);
void put_text(Bytes& out, std::string_view text);
void put_bytes(Bytes& out, ByteView bytes);
void put_link(Bytes& out, const Cid& link);
}  // namespace cbor

}  // namespace berth
