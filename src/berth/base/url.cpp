#include "berth/base/url.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "berth/base/format.hpp"

namespace berth {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    return fail(Code::bad_input, format("the address \"{}\" {}", text.substr(0, 200), why));
}

/// Names whose last label is a number are addresses to some readers and names to others.
bool ends_in_number(std::string_view host) noexcept {
    const auto dot = host.rfind('.');
    const auto last = dot == std::string_view::npos ? host : host.substr(dot + 1);
    if (last.empty()) return false;
    if (std::all_of(last.begin(), last.end(), is_digit)) return true;
    return last.size() >= 2 && last[0] == '0' && lower(last[1]) == 'x' && std::all_of(last.begin() + 2, last.end(), is_hex);
}

bool allowed_in_path(char c) noexcept {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && std::string_view("\\\"<>^`{|}").find(c) == std::string_view::npos;
}

bool escapes_are_whole(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') continue;
        if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
    }
    return true;
}

/// The segment with `%2e` as a dot, for telling dot segments.
bool is_dots(std::string_view segment, std::size_t count) noexcept {
    std::size_t found = 0;
    while (!segment.empty()) {
        if (segment[0] == '.') {
            segment.remove_prefix(1);
        } else if (segment.size() >= 3 && segment[0] == '%' && segment[1] == '2' && lower(segment[2]) == 'e') {
            segment.remove_prefix(3);
        } else {
            return false;
        }
        ++found;
    }
    return found == count;
}

std::string without_dot_segments(std::string_view path) {
    std::vector<std::string_view> kept;
    bool to_folder = true;
    while (!path.empty()) {
        path.remove_prefix(1);  // the slash
        const auto segment = path.substr(0, path.find('/'));
        path.remove_prefix(segment.size());
        to_folder = true;
        if (is_dots(segment, 2)) {
            if (!kept.empty()) kept.pop_back();
        } else if (!is_dots(segment, 1)) {
            if (segment.empty() && path.empty()) break;
            kept.push_back(segment);
            to_folder = false;
        }
    }
    std::string text;
    for (const auto segment : kept) text.append("/").append(segment);
    if (to_folder) text += '/';
    return text;
}

/// Splits off the part behind `mark`; the part stays absent when there is none.
std::optional<std::string_view> cut(std::string_view& text, char mark) {
    const auto at = text.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    const auto rest = text.substr(at + 1);
    text = text.substr(0, at);
    return rest;
}

Result<void> take_target(Url& url, std::string_view target, std::string_view whole) {
    cut(target, '#');
    const auto query = cut(target, '?');
    if (!std::all_of(target.begin(), target.end(), allowed_in_path) || (query && !std::all_of(query->begin(), query->end(), allowed_in_path))) {
        return bad(whole, "has a byte that must be percent-encoded");
    }
    if (!escapes_are_whole(target) || (query && !escapes_are_whole(*query))) return bad(whole, "has a percent sign without two digits");
    url.path = without_dot_segments(target.empty() ? "/" : target);
    url.query = query ? std::optional<std::string>(*query) : std::nullopt;
    return {};
}

}  // namespace

Result<std::string> canonical_host(std::string_view host) {
    const auto whole = host;
    const auto wrong = [&](std::string_view why) { return fail(Code::bad_input, format("the host \"{}\" {}", whole.substr(0, 200), why)); };
    if (host.starts_with('[')) {
        if (!host.ends_with(']') || host.size() < 4) return wrong("has no closing bracket");
        const auto address = IpAddress::parse(host.substr(1, host.size() - 2));
        if (!address || host.find(':') == std::string_view::npos) return wrong("is no IPv6 address");
        return address->text();
    }
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.empty() || host.size() > 253) return wrong("is empty or longer than 253 bytes");
    if (ends_in_number(host)) {
        const auto address = IpAddress::parse(host);
        if (!address || !address->is_v4()) return wrong("is neither a name nor an IPv4 address with four decimal parts");
        return address->text();
    }
    std::string text;
    std::size_t label = 0;
    for (const char c : host) {
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_' && c != '.') return wrong("has a byte that no host name has (write international names in their xn-- form)");
        if (c == '.' && label == 0) return wrong("has an empty label");
        label = c == '.' ? 0 : label + 1;
        if (label > 63) return wrong("has a label longer than 63 bytes");
        text += lower(c);
    }
    if (label == 0) return wrong("has an empty label");  // two dots at the end: one is the root's
    return text;
}

Result<Url> Url::parse(std::string_view text) {
    if (text.size() > 16 * 1024) return fail(Code::uri_too_long, "an address may have 16 KiB");
    Url url;
    std::string head;
    std::transform(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(text.size(), 8)), std::back_inserter(head), lower);
    if (head.starts_with("https://")) {
        url.is_https = true;
        url.port = 443;
    } else if (!head.starts_with("http://")) {
        return bad(text, "is no http:// or https:// address");
    }
    auto rest = text.substr(url.is_https ? 8 : 7);
    const auto end = rest.find_first_of("/?#\\");
    auto authority = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end);
    if (authority.find('@') != std::string_view::npos) return bad(text.substr(0, text.find("//") + 2), "has user information; put credentials into a field of the request");
    const auto bracket = authority.find(']');
    const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
        const auto digits = authority.substr(colon + 1);
        unsigned port = 0;
        const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (digits.empty() || error != std::errc() || stop != digits.data() + digits.size() || port == 0 || port > 65535) return bad(text, "has no valid port");
        url.port = static_cast<std::uint16_t>(port);
        authority = authority.substr(0, colon);
    }
    BERTH_TRY(url.host, canonical_host(authority));
    url.address = IpAddress::parse(url.host);
    BERTH_TRYV(take_target(url, rest.empty() || rest[0] == '?' || rest[0] == '#' ? "/" + std::string(rest) : std::string(rest), text));
    return url;
}

Result<Url> Url::resolve(std::string_view reference) const {
    const auto colon = reference.find(':');
    const auto first_end = reference.find_first_of("/?#");
    if (colon != std::string_view::npos && (first_end == std::string_view::npos || colon < first_end)) return parse(reference);
    if (reference.starts_with("//")) return parse(format("{}:{}", scheme(), reference));
    Url url = *this;
    if (reference.empty() || reference[0] == '#') return url;
    if (reference[0] == '?') {
        BERTH_TRYV(take_target(url, path + std::string(reference), reference));
    } else if (reference[0] == '/') {
        BERTH_TRYV(take_target(url, reference, reference));
    } else {
        BERTH_TRYV(take_target(url, path.substr(0, path.rfind('/') + 1) + std::string(reference), reference));
    }
    return url;
}

std::string Url::authority() const {
    const bool is_v6 = host.find(':') != std::string::npos;
    std::string text = is_v6 ? "[" + host + "]" : host;
    if (port != (is_https ? 443 : 80)) text += format(":{}", port);
    return text;
}

std::string Url::origin() const { return format("{}://{}", scheme(), authority()); }

std::string Url::target() const { return query ? format("{}?{}", path, *query) : path; }

}  // namespace berth
