#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

/// A place in a text, both counted from 1.
struct TextPlace {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
};

/// One value of a YAML document: YAML 1.2 core schema, so `yes`, `no` and `on` are strings. Plain value, no sharing:
/// aliases have been replaced by copies.
class YamlNode {
public:
    enum class Kind : std::uint8_t { null, boolean, integer, real, string, sequence, mapping };
    struct Member;  // key `first`, value `second`

    Kind kind = Kind::null;
    TextPlace place;
    std::string text;               // of a scalar, as it stands in the source without its quotes
    std::vector<YamlNode> items;    // of a sequence
    std::vector<Member> members;    // of a mapping, in order; keys are scalars and differ

    bool is_null() const noexcept { return kind == Kind::null; }
    bool is_string() const noexcept { return kind == Kind::string; }
    bool is_scalar() const noexcept { return kind != Kind::sequence && kind != Kind::mapping; }
    bool is_sequence() const noexcept { return kind == Kind::sequence; }
    bool is_mapping() const noexcept { return kind == Kind::mapping; }

    /// Empty when it is of another kind, or does not fit.
    std::optional<bool> boolean() const noexcept;
    std::optional<std::int64_t> integer() const noexcept;
    std::optional<double> real() const noexcept;  // integers too

    /// The value of this key; null when there is none or this is no mapping.
    const YamlNode* find(std::string_view key) const noexcept;
};

struct YamlNode::Member {
    YamlNode first;
    YamlNode second;
};

std::string_view name(YamlNode::Kind kind) noexcept;

/// Reads one document strictly: UTF-8 without byte order mark, no tags, no duplicate keys, scalar keys, aliases that
/// expand to at most 1,000 nodes, one document. JSON text is YAML. An empty text is a null node.
///
/// `file` is only for messages. The error is config_error with `file:line:column` as its place; it holds the first
/// problem, since nothing after it can be trusted.
Result<YamlNode> parse_yaml(std::string_view text, std::string_view file, std::size_t max_bytes = 1 << 20);

/// `file:line:column`.
std::string place_text(std::string_view file, TextPlace place);

}  // namespace berth
