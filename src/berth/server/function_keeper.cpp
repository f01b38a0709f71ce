#include "berth/server/function_keeper.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <set>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/server/folder_watch.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr auto quiet_time = std::chrono::milliseconds(100);
constexpr auto longest_wait = std::chrono::seconds(1);

std::string short_time(std::chrono::nanoseconds time) { return format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(time).count()); }

/// Watches every folder that functions are found in.
std::unique_ptr<FolderWatch> watch_of(const FunctionSet::Request& request) {
    std::vector<fs::path> roots;
    std::error_code ignored;
    for (const auto& path : request.paths) {
        const auto folder = fs::is_directory(path, ignored) ? path : path.parent_path();
        roots.push_back(fs::weakly_canonical(folder.empty() ? fs::path(".") : folder, ignored));
        // Folders that links in a root lead to, and those that the configuration names.
        for (const auto& entry : fs::directory_iterator(roots.back(), ignored)) {
            if (entry.is_symlink(ignored) && entry.is_directory(ignored)) roots.push_back(fs::canonical(entry.path(), ignored));
        }
    }
    for (const auto& one : request.settings.discovery.defined) {
        if (const auto* path = one.fields.find("path")) roots.push_back(fs::weakly_canonical(fs::path(one.file).parent_path() / path->text, ignored));
    }
    return std::make_unique<FolderWatch>(std::move(roots), std::vector<std::string>{"node_modules", ".venv", ".git", "__pycache__", ".berth"});
}

}  // namespace

FunctionKeeper::FunctionKeeper(Parts parts) : parts_(std::move(parts)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (auto* processes = parts_.functions.processes()) {
        processes->set_build_listener([this](const SubprocessEngine::BuildEvent& event) {
            using Kind = SubprocessEngine::BuildEvent::Kind;
            if (event.kind == Kind::started) tell("build", event.function, event.command);
            else if (event.kind == Kind::succeeded) tell("built", event.function, short_time(event.outcome.took));
            else tell("failed", event.function, event.outcome.log.empty() ? event.outcome.reason : format("{}\n{}", event.outcome.reason, event.outcome.log.substr(event.outcome.log.size() > 2048 ? event.outcome.log.size() - 2048 : 0)));
        });
    }
    if (parts_.watch) watch_ = watch_of(parts_.functions.request());
    thread_ = std::thread([this] { work(); });
}

FunctionKeeper::~FunctionKeeper() { stop(); }

void FunctionKeeper::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        stopping_ = true;
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
    thread_.join();
    if (auto* processes = parts_.functions.processes()) processes->set_build_listener({});
}

void FunctionKeeper::tell(std::string what, std::string function, std::string text) {
    if (parts_.listener) parts_.listener({std::move(what), std::move(function), std::move(text)});
}

Task<Result<std::string>> FunctionKeeper::reload() {
    struct Awaiter {
        FunctionKeeper& keeper;
        Asked asked;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> awaiting) {
            asked.waiting = awaiting;
            {
                const std::lock_guard lock(keeper.mutex_);
                if (keeper.stopping_) {
                    asked.answer = fail(Code::shutting_down, "the host is shutting down");
                    return false;
                }
                keeper.asked_.push_back(&asked);
            }
            const std::uint64_t one = 1;
            [[maybe_unused]] const auto written = ::write(keeper.wake_.get(), &one, sizeof one);
            return true;
        }
        Result<std::string> await_resume() { return std::move(asked.answer); }
    };
    auto* reactor = Reactor::current();
    BERTH_ASSERT(reactor != nullptr);
    Awaiter awaiter{*this, {reactor, {}, std::string()}};
    co_return co_await awaiter;
}

void FunctionKeeper::work() {
    if (watch_ && watch_->polls()) tell("watch", "", format("{}; looking once a second instead", watch_->why_polls()));
    // What changed after the first scan and before the watch began.
    bool look_once = watch_ != nullptr;
    while (true) {
        FolderWatch::Event event;
        if (look_once) {
            event.changed = true;
            look_once = false;
        } else if (watch_) {
            event = watch_->wait(wake_.get(), quiet_time, longest_wait);
        } else {
            pollfd one{wake_.get(), POLLIN, 0};
            ::poll(&one, 1, -1);
            event.other = true;
        }
        std::uint64_t count = 0;
        if (event.other) [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
        std::deque<Asked*> asked;
        bool stopping = false;
        {
            const std::lock_guard lock(mutex_);
            asked.swap(asked_);
            stopping = stopping_;
        }
        Result<std::string> answer = stopping ? Result<std::string>(fail(Code::shutting_down, "the host is shutting down")) : std::string();
        if (!stopping && (event.changed || !asked.empty())) answer = look(event.folders);
        for (auto* one : asked) {
            one->answer = answer;
            one->reactor->post(one->waiting);
        }
        if (stopping) return;
    }
}

Result<std::string> FunctionKeeper::look(const std::set<fs::path>& folders) {
    auto* processes = parts_.functions.processes();
    if (processes) {
        // Calls of functions that are built wait for what comes of it.
        std::vector<std::string> built;
        for (const auto& function : processes->list()) {
            if (!function->manifest || !function->manifest->build) continue;
            for (const auto& folder : folders) {
                if (std::mismatch(function->directory.begin(), function->directory.end(), folder.begin(), folder.end()).first == function->directory.end()) {
                    built.push_back(function->name);
                    break;
                }
            }
        }
        processes->hold(built);
    }
    auto change = parts_.functions.rescan(no_progress());
    if (!change) {
        tell("watch", "", change.error().full_message());
        if (processes) processes->release();
        return fail(std::move(change.error()));
    }
    parts_.runtime.refresh(parts_.functions.engines());
    parts_.front.refresh();
    JsonWriter json;
    json.begin_object().member("success", true).member("count", static_cast<std::uint64_t>(change->count));
    for (const auto& [key, names] : {std::pair{"added", &change->added}, std::pair{"changed", &change->changed}, std::pair{"removed", &change->removed}, std::pair{"invalid", &change->invalid}}) {
        json.key(key).begin_array();
        for (const auto& name : *names) {
            json.value(std::string_view(name));
            std::string text;
            if (const auto function = parts_.runtime.find(name)) {
                text = function->entry.lexically_relative(function->directory).string();
                if (std::string_view(key) == "invalid" && !function->diagnostics.empty()) {
                    const auto& problem = function->diagnostics.front();
                    text = format("{}: {} [{}]", problem.place, problem.text, problem.number);
                }
            }
            tell(key, name, text);
        }
        json.end_array();
    }
    json.end_object();
    return json.take();
}

}  // namespace berth
