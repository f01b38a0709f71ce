#include "berth/base/yaml.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <sstream>

#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"

namespace berth {

namespace {

constexpr std::size_t max_alias_nodes = 1'000;
constexpr std::size_t max_depth = 100;

/// Ends the reading; the message goes into the Error.
struct Refusal {
    TextPlace place;
    std::string text;
};

TextPlace place_of(const YAML::Mark& mark) {
    return {static_cast<std::uint32_t>(mark.line + 1), static_cast<std::uint32_t>(mark.column + 1)};
}

bool all_of_digits(std::string_view text, std::string_view digits) {
    return !text.empty() && text.find_first_not_of(digits) == std::string_view::npos;
}

constexpr std::string_view decimal = "0123456789";

bool is_integer(std::string_view text) {
    if (text.starts_with("0o")) return all_of_digits(text.substr(2), "01234567");
    if (text.starts_with("0x")) return all_of_digits(text.substr(2), "0123456789abcdefABCDEF");
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
    return all_of_digits(text, decimal);
}

bool is_real(std::string_view text) {
    if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
    if (text == ".inf" || text == ".Inf" || text == ".INF") return true;
    const auto mantissa_end = text.find_first_not_of("0123456789.");
    const auto mantissa = text.substr(0, mantissa_end);
    if (std::count(mantissa.begin(), mantissa.end(), '.') > 1 || mantissa.find_first_of(decimal) == std::string_view::npos) return false;
    if (mantissa_end == std::string_view::npos) return true;
    auto exponent = text.substr(mantissa_end);
    if (exponent[0] != 'e' && exponent[0] != 'E') return false;
    exponent.remove_prefix(1);
    if (!exponent.empty() && (exponent[0] == '-' || exponent[0] == '+')) exponent.remove_prefix(1);
    return all_of_digits(exponent, decimal);
}

YamlNode::Kind plain_kind(std::string_view text) {
    using Kind = YamlNode::Kind;
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Kind::null;
    for (const auto* word : {"true", "True", "TRUE", "false", "False", "FALSE"}) {
        if (text == word) return Kind::boolean;
    }
    if (is_integer(text)) return Kind::integer;
    if (is_real(text)) return Kind::real;
    return Kind::string;
}

std::size_t count_nodes(const YamlNode& node) {
    std::size_t count = 1;
    for (const auto& item : node.items) count += count_nodes(item);
    for (const auto& [key, value] : node.members) count += 1 + count_nodes(value);
    return count;
}

/// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
public:
    YamlNode take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        YamlNode node;
        node.place = place_of(mark);
        add(std::move(node), anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) throw Refusal{place_of(mark), "this alias stands inside what it names"};
        alias_nodes_ += count_nodes(found->second);
        if (alias_nodes_ > max_alias_nodes) throw Refusal{place_of(mark), format("aliases expand to more than {} nodes", max_alias_nodes)};
        auto copy = found->second;
        copy.place = place_of(mark);
        add(std::move(copy), 0);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
        if (tag != "?" && tag != "!" && !tag.empty()) throw Refusal{place_of(mark), format("tags are not allowed: {}", tag)};
        YamlNode node;
        node.place = place_of(mark);
        node.kind = tag == "?" ? plain_kind(value) : YamlNode::Kind::string;
        node.text = value;
        add(std::move(node), anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, YamlNode::Kind::sequence);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
        open(mark, tag, anchor, YamlNode::Kind::mapping);
    }
    void OnMapEnd() override { close(); }

private:
    struct Open {
        YamlNode node;
        YAML::anchor_t anchor;
        bool has_key = false;
        YamlNode key;
    };

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
        if (tag != "?" && !tag.empty()) throw Refusal{place_of(mark), format("tags are not allowed: {}", tag)};
        if (open_.size() >= max_depth) throw Refusal{place_of(mark), format("nested more than {} levels deep", max_depth)};
        if (!open_.empty() && open_.back().node.is_mapping() && !open_.back().has_key) {
            throw Refusal{place_of(mark), "a key must be a single word or text"};
        }
        Open next;
        next.node.kind = kind;
        next.node.place = place_of(mark);
        next.anchor = anchor;
        open_.push_back(std::move(next));
    }

    void close() {
        auto closed = std::move(open_.back());
        open_.pop_back();
        add(std::move(closed.node), closed.anchor);
    }

    void add(YamlNode node, YAML::anchor_t anchor) {
        if (anchor != 0) anchors_[anchor] = node;
        if (open_.empty()) {
            root_ = std::move(node);
            return;
        }
        auto& top = open_.back();
        if (top.node.is_sequence()) {
            top.node.items.push_back(std::move(node));
            return;
        }
        if (top.has_key) {
            top.node.members.emplace_back(std::move(top.key), std::move(node));
            top.has_key = false;
            return;
        }
        if (!node.is_scalar()) throw Refusal{node.place, "a key must be a single word or text"};
        if (const auto* before = top.node.find(node.text)) {
            throw Refusal{node.place, format("duplicate key \"{}\", first given at line {}", node.text, before->place.line)};
        }
        top.key = std::move(node);
        top.has_key = true;
    }

    YamlNode root_;
    std::vector<Open> open_;
    std::map<YAML::anchor_t, YamlNode> anchors_;
    std::size_t alias_nodes_ = 0;
};

std::unexpected<Error> refuse(std::string_view file, const Refusal& refusal) {
    auto error = Error(Code::config_error, refusal.text);
    error.set_where(place_text(file, refusal.place));
    return std::unexpected<Error>(std::move(error));
}

/// The place of byte `offset`, columns in bytes.
TextPlace place_at(std::string_view text, std::size_t offset) {
    const auto before = text.substr(0, offset);
    const auto line_start = before.rfind('\n');
    return {static_cast<std::uint32_t>(std::count(before.begin(), before.end(), '\n') + 1),
            static_cast<std::uint32_t>(offset - (line_start == std::string_view::npos ? 0 : line_start + 1) + 1)};
}

}  // namespace

std::optional<bool> YamlNode::boolean() const noexcept {
    if (kind != Kind::boolean) return {};
    return text[0] == 't' || text[0] == 'T';
}

std::optional<std::int64_t> YamlNode::integer() const noexcept {
    if (kind != Kind::integer) return {};
    std::string_view digits = text;
    int base = 10;
    if (digits.starts_with("0o")) base = 8;
    if (digits.starts_with("0x")) base = 16;
    if (base != 10) digits.remove_prefix(2);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    std::int64_t value = 0;
    const auto end = digits.data() + digits.size();
    const auto [stopped, problem] = std::from_chars(digits.data(), end, value, base);
    if (problem != std::errc() || stopped != end) return {};
    return value;
}

std::optional<double> YamlNode::real() const noexcept {
    if (const auto whole = integer()) return static_cast<double>(*whole);
    if (kind != Kind::real && kind != Kind::integer) return {};
    std::string_view digits = text;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    if (digits.find("nan") != std::string_view::npos || digits.find("NaN") != std::string_view::npos || digits == ".NAN") {
        return std::numeric_limits<double>::quiet_NaN();
    }
    const bool negative = digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    double value = 0;
    if (digits == ".inf" || digits == ".Inf" || digits == ".INF") {
        value = std::numeric_limits<double>::infinity();
    } else if (const auto end = digits.data() + digits.size(); std::from_chars(digits.data(), end, value).ptr != end) {
        return {};
    }
    return negative ? -value : value;
}

const YamlNode* YamlNode::find(std::string_view key) const noexcept {
    for (const auto& [name, value] : members) {
        if (name.text == key) return &value;
    }
    return nullptr;
}

std::string_view name(YamlNode::Kind kind) noexcept {
    switch (kind) {
        case YamlNode::Kind::null: return "null";
        case YamlNode::Kind::boolean: return "boolean";
        case YamlNode::Kind::integer: return "integer";
        case YamlNode::Kind::real: return "number";
        case YamlNode::Kind::string: return "string";
        case YamlNode::Kind::sequence: return "list";
        case YamlNode::Kind::mapping: return "mapping";
    }
    return "value";
}

std::string place_text(std::string_view file, TextPlace place) { return format("{}:{}:{}", file, place.line, place.column); }

Result<YamlNode> parse_yaml(std::string_view text, std::string_view file, std::size_t max_bytes) {
    if (text.size() > max_bytes) return refuse(file, {{1, 1}, format("{} bytes; at most {} are read", text.size(), max_bytes)});
    if (text.starts_with("\xEF\xBB\xBF")) return refuse(file, {{1, 1}, "begins with a byte order mark; save it as UTF-8 without one"});
    if (const auto valid = valid_utf8_prefix(text); valid != text.size()) return refuse(file, {place_at(text, valid), "not UTF-8"});
    if (const auto nul = text.find('\0'); nul != std::string_view::npos) return refuse(file, {place_at(text, nul), "contains a NUL byte"});
    try {
        std::istringstream stream{std::string(text)};
        YAML::Parser parser(stream);
        Builder builder;
        if (!parser.HandleNextDocument(builder)) return YamlNode();
        Builder second;
        if (parser.HandleNextDocument(second)) {
            return refuse(file, {second.take().place, "a second document begins here; one file holds one document"});
        }
        return builder.take();
    } catch (const Refusal& refusal) {
        return refuse(file, refusal);
    } catch (const YAML::Exception& problem) {
        return refuse(file, {place_of(problem.mark), problem.msg});
    }
}

}  // namespace berth
