#include "berth/base/cbor.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"

namespace berth {
namespace {

enum Major : std::uint8_t { positive = 0, negative = 1, byte_string = 2, text_string = 3, array_of = 4, map_of = 5, tag = 6, simple = 7 };

void append_head(Bytes& out, Major major, std::uint64_t value) {
    const auto first = static_cast<std::uint8_t>(major << 5);
    int size = 0;
    if (value < 24) {
        out.push_back(static_cast<std::uint8_t>(first | value));
        return;
    }
    if (value <= 0xFF) {
        out.push_back(first | 24);
        size = 1;
    } else if (value <= 0xFFFF) {
        out.push_back(first | 25);
        size = 2;
    } else if (value <= 0xFFFFFFFF) {
        out.push_back(first | 26);
        size = 4;
    } else {
        out.push_back(first | 27);
        size = 8;
    }
    for (int i = size - 1; i >= 0; --i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

/// Keys sort by length first, then by their bytes.
bool key_before(const std::string& a, const std::string& b) noexcept { return a.size() != b.size() ? a.size() < b.size() : a < b; }

constexpr std::size_t max_nesting = 128;

}  // namespace

const Cbor* Cbor::find(std::string_view key) const noexcept {
    const auto* members = map();
    if (members == nullptr) return nullptr;
    for (const auto& [name, value] : *members) {
        if (name == key) return &value;
    }
    return nullptr;
}

const std::uint64_t* Cbor::unsigned_number() const noexcept {
    const auto* number = std::get_if<Number>(&value_);
    return number != nullptr && !number->negative ? &number->magnitude : nullptr;
}

bool Cbor::signed_number(std::int64_t& out) const noexcept {
    const auto* number = std::get_if<Number>(&value_);
    if (number == nullptr || number->magnitude > static_cast<std::uint64_t>(INT64_MAX)) return false;
    out = number->negative ? -1 - static_cast<std::int64_t>(number->magnitude) : static_cast<std::int64_t>(number->magnitude);
    return true;
}

void Cbor::encode(Bytes& out) const {
    if (is_null()) {
        out.push_back(0xF6);
    } else if (const auto* flag = boolean()) {
        out.push_back(*flag ? 0xF5 : 0xF4);
    } else if (const auto* number = std::get_if<Number>(&value_)) {
        append_head(out, number->negative ? Major::negative : Major::positive, number->magnitude);
    } else if (const auto* real = floating()) {
        out.push_back(0xFB);
        const auto bits = std::bit_cast<std::uint64_t>(*real);
        for (int i = 7; i >= 0; --i) out.push_back(static_cast<std::uint8_t>(bits >> (8 * i)));
    } else if (const auto* string = text()) {
        append_head(out, Major::text_string, string->size());
        out.insert(out.end(), string->begin(), string->end());
    } else if (const auto* data = bytes()) {
        append_head(out, Major::byte_string, data->size());
        out.insert(out.end(), data->begin(), data->end());
    } else if (const auto* cid = link()) {
        cbor::put_link(out, *cid);
    } else if (const auto* elements = array()) {
        append_head(out, Major::array_of, elements->size());
        for (const auto& element : *elements) element.encode(out);
    } else {
        std::vector<const std::pair<std::string, Cbor>*> sorted;
        for (const auto& member : *map()) sorted.push_back(&member);
        std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return key_before(a->first, b->first); });
        append_head(out, Major::map_of, sorted.size());
        for (const auto* member : sorted) {
            append_head(out, Major::text_string, member->first.size());
            out.insert(out.end(), member->first.begin(), member->first.end());
            member->second.encode(out);
        }
    }
}

namespace cbor {

void put_map(Bytes& out, std::uint64_t members) { append_head(out, Major::map_of, members); }
void put_number(Bytes& out, std::uint64_t value) { append_head(out, Major::positive, value); }
void put_text(Bytes& out, std::string_view text) {
    append_head(out, Major::text_string, text.size());
    out.insert(out.end(), text.begin(), text.end());
}
void put_bytes(Bytes& out, ByteView bytes) {
    append_head(out, Major::byte_string, bytes.size());
    out.insert(out.end(), bytes.begin(), bytes.end());
}
void put_link(Bytes& out, const Cid& link) {
    const auto raw = link.bytes();
    append_head(out, Major::tag, 42);
    append_head(out, Major::byte_string, raw.size() + 1);
    out.push_back(0);
    out.insert(out.end(), raw.begin(), raw.end());
}

}  // namespace cbor

Bytes Cbor::encode() const {
    Bytes out;
    encode(out);
    return out;
}

class CborReader {
public:
    explicit CborReader(ByteView bytes) : bytes_(bytes) {}

    Result<Cbor> whole() {
        BERTH_TRY(auto value, read(0));
        if (at_ != bytes_.size()) return wrong("bytes follow the value");
        return value;
    }

private:
    std::unexpected<Error> wrong(std::string_view what) const { return fail(Code::bad_input, format("not valid DAG-CBOR at byte {}: {}", at_, what)); }

    struct Head {
        std::uint8_t major;
        std::uint8_t info;
        std::uint64_t value;
    };

    Result<Head> head() {
        if (at_ >= bytes_.size()) return wrong("the data ends early");
        const std::uint8_t first = bytes_[at_];
        Head head{static_cast<std::uint8_t>(first >> 5), static_cast<std::uint8_t>(first & 31), 0};
        if (head.info < 24) {
            head.value = head.info;
            ++at_;
            return head;
        }
        if (head.info > 27) return wrong("indefinite lengths are not allowed");
        const std::size_t size = std::size_t{1} << (head.info - 24);
        if (bytes_.size() - at_ - 1 < size) return wrong("the data ends early");
        for (std::size_t i = 0; i < size; ++i) head.value = head.value << 8 | bytes_[at_ + 1 + i];
        const std::uint64_t least = size == 1 ? 24 : std::uint64_t{1} << (4 * size);
        if (head.major != Major::simple && head.value < least) return wrong("a shorter head exists");
        at_ += 1 + size;
        return head;
    }

    Result<ByteView> take(std::uint64_t size) {
        if (size > bytes_.size() - at_) return wrong("a length runs past the end");
        const auto part = bytes_.subspan(at_, static_cast<std::size_t>(size));
        at_ += part.size();
        return part;
    }

    Result<std::string> text(std::uint64_t size) {
        BERTH_TRY(const auto raw, take(size));
        if (!is_utf8(as_text(raw))) return wrong("text is no UTF-8");
        return std::string(as_text(raw));
    }

    Result<Cbor> read(std::size_t depth) {
        if (depth > max_nesting) return wrong("nested too deeply");
        BERTH_TRY(const auto head, this->head());
        switch (head.major) {
            case Major::positive: return Cbor(head.value);
            case Major::negative: {
                Cbor value;
                value.value_ = Cbor::Number{head.value, true};
                return value;
            }
            case Major::byte_string: {
                BERTH_TRY(const auto raw, take(head.value));
                return Cbor(Bytes(raw.begin(), raw.end()));
            }
            case Major::text_string: {
                BERTH_TRY(auto value, text(head.value));
                return Cbor(std::move(value));
            }
            case Major::array_of: {
                Cbor::Array elements;
                for (std::uint64_t i = 0; i < head.value; ++i) {
                    BERTH_TRY(auto element, read(depth + 1));
                    elements.push_back(std::move(element));
                }
                return Cbor(std::move(elements));
            }
            case Major::map_of: return members(head.value, depth);
            case Major::tag: {
                if (head.value != 42) return wrong("only tag 42 (link) is allowed");
                BERTH_TRY(const auto inner, this->head());
                if (inner.major != Major::byte_string) return wrong("a link is a byte string");
                BERTH_TRY(const auto raw, take(inner.value));
                if (raw.empty() || raw[0] != 0) return wrong("a link starts with a zero byte");
                BERTH_TRY(auto cid, Cid::from_bytes(raw.subspan(1)));
                return Cbor(cid);
            }
            default: return simple_value(head);
        }
    }

    Result<Cbor> members(std::uint64_t count, std::size_t depth) {
        Cbor::Map map;
        for (std::uint64_t i = 0; i < count; ++i) {
            BERTH_TRY(const auto key_head, head());
            if (key_head.major != Major::text_string) return wrong("a map key is text");
            BERTH_TRY(auto key, text(key_head.value));
            if (!map.empty() && !key_before(map.back().first, key)) return wrong("map keys are not sorted or stand twice");
            BERTH_TRY(auto value, read(depth + 1));
            map.emplace_back(std::move(key), std::move(value));
        }
        return Cbor(std::move(map));
    }

    Result<Cbor> simple_value(const Head& head) {
        switch (head.info) {
            case 20: return Cbor(false);
            case 21: return Cbor(true);
            case 22: return Cbor();
            case 27: {
                const auto real = std::bit_cast<double>(head.value);
                if (!std::isfinite(real)) return wrong("NaN and infinities are not allowed");
                return Cbor(real);
            }
            default: return wrong("no such simple value");
        }
    }

    ByteView bytes_;
    std::size_t at_ = 0;
};

Result<Cbor> Cbor::decode(ByteView bytes) { return CborReader(bytes).whole(); }

}  // namespace berth
