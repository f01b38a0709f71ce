#include "berth/runtime/glob.hpp"

#include <algorithm>

namespace berth {

namespace {

constexpr std::size_t max_alternatives = 64;

/// One character against `[…]` at the start of `pattern`; `size` is the length of the class, 0 when it is none.
bool in_class(std::string_view pattern, char c, std::size_t& size) {
    std::size_t at = 1;
    const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
    if (negated) ++at;
    const auto start = at;
    bool found = false;
    while (at < pattern.size() && (pattern[at] != ']' || at == start)) {
        if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
            found |= pattern[at] <= c && c <= pattern[at + 2];
            at += 3;
        } else {
            found |= pattern[at] == c;
            ++at;
        }
    }
    size = at < pattern.size() ? at + 1 : 0;
    return found != negated;
}

/// Within one segment; `*` goes back to the last star only, so the work is the product of the lengths.
bool segment_matches(std::string_view pattern, std::string_view text) {
    std::size_t p = 0, t = 0, star = std::string_view::npos, star_text = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
            continue;
        }
        std::size_t used = 0;
        bool same = false;
        if (p < pattern.size()) {
            if (pattern[p] == '?') {
                same = true;
                used = 1;
            } else if (pattern[p] == '[') {
                same = in_class(pattern.substr(p), text[t], used);
                if (used == 0) {
                    same = text[t] == '[';
                    used = 1;
                }
            } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
                same = pattern[p + 1] == text[t];
                used = 2;
            } else {
                same = pattern[p] == text[t];
                used = 1;
            }
        }
        if (same) {
            p += used;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

std::vector<std::string_view> segments_of(std::string_view path) {
    std::vector<std::string_view> all;
    while (true) {
        const auto slash = path.find('/');
        all.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) return all;
        path.remove_prefix(slash + 1);
    }
}

bool plain_matches(std::string_view pattern, std::string_view path) {
    const auto wanted = segments_of(pattern), given = segments_of(path);
    // reached[j]: the pattern so far matches the first j segments.
    std::vector<bool> reached(given.size() + 1, false);
    reached[0] = true;
    for (const auto segment : wanted) {
        std::vector<bool> next(given.size() + 1, false);
        if (segment == "**") {
            bool any = false;
            for (std::size_t j = 0; j <= given.size(); ++j) {
                any = any || reached[j];
                next[j] = any;
            }
        } else {
            for (std::size_t j = 0; j < given.size(); ++j) {
                if (reached[j] && segment_matches(segment, given[j])) next[j + 1] = true;
            }
        }
        reached = std::move(next);
    }
    return reached[given.size()];
}

/// `a{b,c}d` as `abd` and `acd`; what would be too many stays as it is written.
void expand(const std::string& pattern, std::vector<std::string>& out) {
    const auto open = pattern.find('{');
    const auto close = open == std::string::npos ? open : pattern.find('}', open);
    if (close == std::string::npos || out.size() >= max_alternatives) {
        out.push_back(pattern);
        return;
    }
    const auto inside = pattern.substr(open + 1, close - open - 1);
    std::size_t at = 0;
    while (out.size() < max_alternatives) {
        const auto comma = inside.find(',', at);
        expand(pattern.substr(0, open) + inside.substr(at, comma == std::string::npos ? comma : comma - at) + pattern.substr(close + 1), out);
        if (comma == std::string::npos) return;
        at = comma + 1;
    }
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
    std::vector<std::string> all;
    expand(std::string(pattern), all);
    return std::any_of(all.begin(), all.end(), [path](const std::string& one) { return plain_matches(one, path); });
}

IgnoreList IgnoreList::parse(std::string_view text) {
    IgnoreList list;
    while (!text.empty()) {
        const auto end = text.find('\n');
        auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        while (line.ends_with(' ')) line.remove_suffix(1);
        if (line.empty() || line[0] == '#') continue;
        list.add(line);
    }
    return list;
}

void IgnoreList::add(std::string_view text) {
    Pattern pattern;
    if (text.starts_with('!')) {
        pattern.negated = true;
        text.remove_prefix(1);
    }
    if (text.ends_with('/')) {
        pattern.folders_only = true;
        text.remove_suffix(1);
    }
    const bool bound = text.find('/') != std::string_view::npos;
    if (text.starts_with('/')) text.remove_prefix(1);
    if (text.empty()) return;
    pattern.glob = bound ? std::string(text) : "**/" + std::string(text);
    patterns_.push_back(std::move(pattern));
}

bool IgnoreList::ignores(std::string_view path, bool is_folder) const {
    bool ignored = false;
    for (const auto& pattern : patterns_) {
        if (pattern.folders_only && !is_folder) continue;
        if (glob_matches(pattern.glob, path)) ignored = !pattern.negated;
    }
    return ignored;
}

}  // namespace berth
