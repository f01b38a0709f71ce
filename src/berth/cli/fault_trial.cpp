#include "berth/cli/fault_trial.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/verb.hpp"
#include "berth/runtime/receipt_writer.hpp"

extern char** environ;

namespace berth::cli {

void Findings::add(const Finding& finding) {
    ++count_;
    if (!finding.broken.empty()) ++broken_;
    if (console_.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.fault").member("kind", finding.kind).member("what", finding.what).member("end", finding.end).member("held", finding.broken.empty());
        if (!finding.broken.empty()) json.member("broken", finding.broken);
        console_.line(json.end_object().text());
    } else {
        console_.line(format("{:<6} {}: {}{}", finding.broken.empty() ? "held" : "BROKEN", finding.what, finding.end, finding.broken.empty() ? "" : "; " + finding.broken));
    }
}

Result<CallFaults> parse_kill_at(const std::string& text) {
    CallFaults faults;
    const auto colon = text.find(':');
    const auto* boundary = std::find_if(fault_boundaries.begin(), fault_boundaries.end(), [&](const auto& each) { return each.name == text.substr(0, colon); });
    const auto digits = colon == std::string::npos ? std::string() : text.substr(colon + 1);
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), faults.kill_at);
    if (boundary == fault_boundaries.end() || problem != std::errc() || end != digits.data() + digits.size() || faults.kill_at == 0) return fail(Code::usage, "--kill-at: write POINT:N, with before, call, effect, done or seen");
    faults.kill_point = boundary->point;
    return faults;
}

void add_guest_words(const Context& context, std::vector<std::string>& words) {
    const auto all = [&](std::string_view flag, const std::vector<std::string>& values) {
        for (const auto& value : values) words.insert(words.end(), {std::string(flag), value});
    };
    const auto one = [&](std::string_view flag, const std::string& value) {
        if (!value.empty()) words.insert(words.end(), {std::string(flag), value});
    };
    all("--policy", context.policy_files);
    all("--allow", context.allow);
    all("--mount", context.mounts);
    all("--env", context.environment);
    all("--limit", context.limits);
    all("--set", context.settings);
    one("--timeout", context.timeout);
    one("--memory", context.memory);
    one("--fuel", context.fuel);
    one("--config", context.config);
    one("--state-dir", context.state_dir);
    if (context.deny_all) words.emplace_back("--deny-all");
    if (context.no_cache) words.emplace_back("--no-cache");
}

Result<int> run_again(const std::vector<std::string>& words, std::string_view input, const std::filesystem::path& scratch) {
    const auto given = scratch / "input";
    BERTH_TRYV(write_file(given, as_bytes(input)));
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, given.c_str(), O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    const int problem = ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (problem != 0) return fail(Code::spawn_failed, "the run that is to be killed cannot be started");
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

}  // namespace berth::cli
