#include "berth/cli/console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"

namespace berth::cli {
namespace {

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(descriptor, text.data(), text.size());
        if (written <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Shows on a terminal that something takes long: after half a second a line with the time, renewed until the step
/// ends. Elsewhere one plain line, and only when the step did take that long.
class TerminalProgress final : public Progress {
public:
    ~TerminalProgress() override { end(); }

    void begin(std::string_view step, std::uint64_t) override {
        end();
        step_ = step;
        stopping_ = false;
        thread_ = std::thread([this] { show(); });
    }
    void advance(std::uint64_t) override {}
    void end() override {
        if (!thread_.joinable()) return;
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }
    bool stop_requested() const noexcept override { return false; }

private:
    void show() {
        const bool terminal = ::isatty(STDERR_FILENO) == 1;
        const auto start = std::chrono::steady_clock::now();
        std::unique_lock lock(mutex_);
        auto next = std::chrono::milliseconds(500);
        bool shown = false;
        while (!wake_.wait_until(lock, start + next, [this] { return stopping_; })) {
            const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            if (terminal) {
                write_all(STDERR_FILENO, berth::format("\r{} … {:.1f} s", step_, seconds));
            } else if (!shown) {
                write_all(STDERR_FILENO, berth::format("{} …\n", step_));
            }
            shown = true;
            next += std::chrono::milliseconds(terminal ? 100 : 5000);
        }
        if (shown && terminal) write_all(STDERR_FILENO, "\r\x1b[K");
    }

    std::string step_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;  // guarded by mutex_
};

TerminalProgress& terminal_progress() {
    static TerminalProgress instance;
    return instance;
}

}  // namespace

Progress* Console::progress_ = nullptr;

Console::Console() : colour(::isatty(STDERR_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr) {
    if (progress_ == nullptr) progress_ = &terminal_progress();
}

void Console::set_progress(Progress& progress) noexcept { progress_ = &progress; }

void Console::print(std::string_view text) { write_all(STDOUT_FILENO, text); }
void Console::line(std::string_view text) { print(std::string(text) + "\n"); }
void Console::notice(std::string_view text) const {
    if (!quiet) write_all(STDERR_FILENO, std::string(text) + "\n");
}
void Console::detail(std::string_view text) const {
    if (verbose) write_all(STDERR_FILENO, std::string(text) + "\n");
}

void Console::error(const Error& error) const {
    if (format == Format::json) {
        write_all(STDOUT_FILENO, json_form(error) + "\n");
    } else {
        write_all(STDERR_FILENO, terminal_form(error, colour));
    }
}

std::string terminal_form(const Error& error, bool colour) {
    const auto label = error.diagnostic().empty() ? std::string(name(error.code())) : error.diagnostic();
    std::string text = colour ? format("\x1b[1;31merror[{}]\x1b[0m: {}\n", label, terminal_safe(error.full_message()))
                              : format("error[{}]: {}\n", label, terminal_safe(error.full_message()));
    const auto part = [&](std::string_view title, const std::string& content) {
        if (!content.empty()) text += format("  {:<6} {}\n", title, terminal_safe(content));
    };
    part("on", error.where());
    for (std::size_t i = error.where().empty() ? 0 : 1; i < error.frames().size(); ++i) part(i == 0 ? "on" : "by", error.frames()[i]);
    part("from", error.from());
    part("fix", error.fix());
    return text;
}

std::string json_form(const Error& error) {
    JsonWriter json;
    json.begin_object().member("$type", "berth.error").key("error").begin_object();
    json.member("code", name(error.code())).member("message", error.full_message()).member("origin", name(error.origin())).member("status", error.exit_status());
    const auto part = [&](std::string_view key, const std::string& content) {
        if (!content.empty()) json.member(key, content);
    };
    part("diagnostic", error.diagnostic());
    part("where", error.where());
    part("from", error.from());
    part("fix", error.fix());
    part("trap", error.trap());
    if (!error.frames().empty()) {
        json.key("frames").begin_array();
        for (const auto& frame : error.frames()) json.value(frame);
        json.end_array();
    }
    json.end_object().end_object();
    return json.take();
}

}  // namespace berth::cli
