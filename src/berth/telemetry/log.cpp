#include "berth/telemetry/log.hpp"

#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"

namespace berth {

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

void Log::write(LogLevel level, std::string_view logger, std::string_view message, Attributes attributes) {
    if (!enabled(level)) return;
    JsonWriter line;
    line.begin_object().member("ts", timestamp(clock_.wall())).member("level", name(level)).member("logger", logger).member("msg", message);
    for (const auto& [key, value] : attributes) {
        if (!value.empty() || (key != "trace_id" && key != "span_id")) line.member(key, value);
    }
    line.end_object();
    auto text = redactor_.apply(line.take());
    text += '\n';
    const std::lock_guard lock(mutex_);
    if (tap_) tap_(level, logger, message, attributes);
    sink_(text);
}

void Log::set_tap(Tap tap) {
    const std::lock_guard lock(mutex_);
    tap_ = std::move(tap);
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
    // In two steps: the whole second before the first moment that nanoseconds can tell is not one of them.
    const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto milliseconds = (since - seconds).count();
    const std::time_t whole = seconds.count();
    std::tm parts{};
    gmtime_r(&whole, &parts);
    return format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, milliseconds);
}

}  // namespace berth
