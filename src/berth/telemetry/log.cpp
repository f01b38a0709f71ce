#include "berth/telemetry/log.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "berth/base/bytes.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"

namespace berth {
namespace {

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("-._~").find(c) != std::string_view::npos;
        if (plain) {
            out += c;
        } else {
            out += format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

std::string base64(std::string_view text) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    std::uint32_t buffer = 0;
    int bits = 0;
    for (const char c : text) {
        buffer = buffer << 8 | static_cast<unsigned char>(c);
        bits += 8;
        while (bits >= 6) {
            out += alphabet[buffer >> (bits - 6) & 63];
            bits -= 6;
        }
    }
    // The last, partial digit depends on what follows in a longer text, so it is left out of the pattern.
    return out;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) text.replace(at, what.size(), with);
}

}  // namespace

std::string_view name(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warn: return "warn";
        case LogLevel::error: return "error";
    }
    return "error";
}

Result<LogLevel> parse_log_level(std::string_view text) {
    for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
        if (name(level) == text) return level;
    }
    return fail(Code::bad_input, format("\"{}\" is no log level; use debug, info, warn or error", text));
}

bool Redactor::add(std::string_view name, std::string_view value) {
    if (value.size() < 4) return false;
    const auto mark = format("[redacted:{}]", name);
    const auto quoted = json_quote(value);
    const std::string forms[] = {std::string(value), percent_encoded(value), base64(value), quoted.substr(1, quoted.size() - 2), to_hex(as_bytes(value))};
    const std::lock_guard lock(mutex_);
    for (const auto& form : forms) {
        if (form.size() >= 4 && std::none_of(replacements_.begin(), replacements_.end(), [&](const auto& known) { return known.first == form; })) {
            replacements_.emplace_back(form, mark);
        }
    }
    std::stable_sort(replacements_.begin(), replacements_.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    return true;
}

std::string Redactor::apply(std::string text) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [form, mark] : replacements_) replace_all(text, form, mark);
    return text;
}

void Log::write(LogLevel level, std::string_view logger, std::string_view message, Attributes attributes) {
    if (!enabled(level)) return;
    JsonWriter line;
    line.begin_object().member("ts", timestamp(clock_.wall())).member("level", name(level)).member("logger", logger).member("msg", message);
    for (const auto& [key, value] : attributes) line.member(key, value);
    line.end_object();
    auto text = redactor_.apply(line.take());
    text += '\n';
    const std::lock_guard lock(mutex_);
    sink_(text);
}

Log::Sink descriptor_sink(int descriptor) {
    return [descriptor](std::string_view line) {
        while (!line.empty()) {
            const auto written = ::write(descriptor, line.data(), line.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return;
            line.remove_prefix(static_cast<std::size_t>(written));
        }
    };
}

std::string timestamp(WallTime time) {
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(since - seconds).count();
    const std::time_t whole = seconds.count();
    std::tm parts{};
    gmtime_r(&whole, &parts);
    return format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, milliseconds);
}

}  // namespace berth
