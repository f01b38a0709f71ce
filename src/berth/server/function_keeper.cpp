#include "berth/server/function_keeper.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/runtime/manifest.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr auto quiet_time = std::chrono::milliseconds(100);
constexpr auto longest_wait = std::chrono::seconds(1);
constexpr auto half_written_time = std::chrono::milliseconds(300);

std::string short_time(std::chrono::nanoseconds time) { return format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(time).count()); }

/// The place of a problem without the folder of the function, which its line names already.
std::string_view place_in_folder(const Function& function, std::string_view place) {
    const auto without = [&place](std::string folder) {
        if (folder.empty() || !place.starts_with(folder += '/')) return false;
        place.remove_prefix(folder.size());
        return true;
    };
    if (!without(function.directory.string()) && function.manifest) without(std::filesystem::path(function.manifest->file).parent_path().string());
    return place;
}

std::string problems_json(const std::vector<Diagnostic>& problems) {
    JsonWriter json;
    json.begin_array();
    for (const auto& problem : problems) {
        json.begin_object().member("number", std::string_view(problem.number)).member("place", std::string_view(problem.place)).member("text", std::string_view(problem.text)).end_object();
    }
    json.end_array();
    return json.take();
}

/// Every folder in which a change can mean another version of a function.
std::vector<FolderWatch::Root> watched_folders(const FunctionSet& functions) {
    std::vector<FolderWatch::Root> roots;
    std::error_code ignored;
    const auto& request = functions.request();
    const auto add = [&](fs::path path, bool whole) {
        if (!fs::exists(path, ignored)) {
            path = path.parent_path();  // where it may come
            whole = false;
        } else if (!fs::is_directory(path, ignored)) {
            path = path.parent_path();
            whole = false;
        }
        auto folder = fs::canonical(path.empty() ? fs::path(".") : path, ignored);
        if (!folder.empty()) roots.push_back({std::move(folder), whole});
    };
    for (const auto& path : request.paths) {
        add(path, true);
        // Folders that links in a root lead to.
        for (const auto& entry : fs::directory_iterator(path, ignored)) {
            if (entry.is_symlink(ignored) && entry.is_directory(ignored)) add(entry.path(), true);
        }
    }
    for (const auto& one : request.settings.discovery.defined) {
        if (const auto* path = one.fields.find("path")) add(fs::path(one.file).parent_path() / path->text, true);
    }
    for (const auto& folder : request.settings.runtime_folders) add(folder, true);
    if (const auto* processes = functions.processes()) {
        for (const auto& function : processes->list()) {
            if (!function->manifest) continue;
            for (const auto& extra : function->manifest->reload.watch) add((function->directory / extra).lexically_normal(), true);
        }
    }
    return roots;
}

std::unique_ptr<FolderWatch> watch_of(const FunctionSet& functions) {
    return std::make_unique<FolderWatch>(watched_folders(functions), std::vector<std::string>{"node_modules", ".venv", ".git", "__pycache__", ".berth"});
}

}  // namespace

FunctionKeeper::FunctionKeeper(Parts parts) : parts_(std::move(parts)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (auto* processes = parts_.functions.processes()) {
        processes->set_build_listener([this](const SubprocessEngine::BuildEvent& event) {
            using Kind = SubprocessEngine::BuildEvent::Kind;
            if (event.kind == Kind::started) tell("build", event.function, event.command);
            else if (event.kind == Kind::succeeded) {
                tell("built", event.function, short_time(event.outcome.took), format("\"duration_ms\":{}", std::chrono::duration_cast<std::chrono::milliseconds>(event.outcome.took).count()));
            } else {
                const auto tail = event.outcome.log.substr(event.outcome.log.size() > 2048 ? event.outcome.log.size() - 2048 : 0);
                tell("failed", event.function, tail.empty() ? event.outcome.reason : format("{}\n{}", event.outcome.reason, tail), format("\"tail\":{}", json_quote(tail)));
            }
        });
    }
    if (parts_.watch) watch_ = watch_of(parts_.functions);
    missing_ = missing_runtimes();
    invalid_ = invalid_functions();
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

void FunctionKeeper::tell(std::string what, std::string function, std::string text, std::string members) {
    static constexpr std::pair<std::string_view, std::string_view> types[] = {{"added", "function.added"},     {"changed", "function.changed"}, {"removed", "function.removed"}, {"invalid", "function.invalid"}, {"valid", "function.valid"},
                                                                              {"build", "build.started"},      {"built", "build.succeeded"},    {"failed", "build.failed"},      {"watch", "watch.degraded"},
                                                                              {"missing", "runtime.missing"},  {"found", "runtime.found"}};
    const auto type = std::find_if(std::begin(types), std::end(types), [&](const auto& one) { return one.first == what; });
    if (type != std::end(types)) {
        std::string details = function.empty() ? "" : "\"function\":" + json_quote(function);
        if (const auto now = function.empty() ? nullptr : parts_.runtime.find(function); now && !now->version.empty()) details += ",\"version\":" + json_quote(now->version);
        if (!members.empty()) details += (details.empty() ? "" : ",") + members;
        if (!text.empty()) details += (details.empty() ? "" : ",") + std::string("\"text\":") + json_quote(text);
        parts_.events.publish(type->second, details);
    }
    if (parts_.listener) parts_.listener({std::move(what), std::move(function), std::move(text)});
}

Task<Result<std::string>> FunctionKeeper::reload(std::shared_ptr<const PolicyRequest> policies) {
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
    Awaiter awaiter{*this, {reactor, {}, std::string(), std::move(policies)}};
    co_return co_await awaiter;
}

FolderWatch::Event FunctionKeeper::wait(SteadyTime until) {
    if (watch_) return watch_->wait(wake_.get(), quiet_time, longest_wait, until);
    FolderWatch::Event event;
    int timeout = -1;
    if (until != SteadyTime::max()) timeout = static_cast<int>(std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count())) + 1;
    pollfd one{wake_.get(), POLLIN, 0};
    event.other = ::poll(&one, 1, timeout) > 0;
    return event;
}

void FunctionKeeper::work() {
    if (watch_ && watch_->polls()) tell("watch", "", format("{}; looking once a second instead", watch_->why_polls()));
    std::deque<Asked*> asked;               // who waits for the next look
    TouchedFolders folders;                 // that changed since the last one
    bool everything = true;                 // has to be read: what changed is not known
    bool due = watch_ != nullptr;           // what changed after the first scan and before the watch began
    auto again = SteadyTime::max();         // when a manifest that seemed half-written is looked at once more
    while (true) {
        if (!due) {
            auto event = wait(again);
            std::uint64_t count = 0;
            if (event.other) [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
            folders.merge(event.folders);
            everything = everything || event.lost;
            due = event.changed;
        }
        bool stopping = false;
        {
            const std::lock_guard lock(mutex_);
            asked.insert(asked.end(), asked_.begin(), asked_.end());
            asked_.clear();
            stopping = stopping_;
        }
        const bool last_try = std::chrono::steady_clock::now() >= again;
        Result<std::optional<std::string>> answer = std::optional<std::string>();
        if (stopping) {
            answer = fail(Code::shutting_down, "the host is shutting down");
        } else if (due || last_try || (!asked.empty() && again == SteadyTime::max())) {
            everything = everything || !asked.empty() || !watch_;
            std::shared_ptr<const PolicyRequest> policies;
            for (const auto* one : asked) policies = one->policies ? one->policies : policies;
            answer = look(folders, everything, last_try ? FunctionSet::HalfWritten::take : FunctionSet::HalfWritten::wait, policies.get());
            due = false;
            if (answer && !*answer) {
                if (again == SteadyTime::max()) again = std::chrono::steady_clock::now() + half_written_time;
                continue;
            }
            again = SteadyTime::max();
            folders.clear();
            everything = !answer;  // what a look that failed has not seen is looked at by the next
            if (watch_ && watch_->follow(watched_folders(parts_.functions))) everything = due = true;  // it may have changed before it was watched
        } else {
            continue;
        }
        for (auto* one : asked) {
            if (answer) one->answer = **answer;
            else one->answer = fail(answer.error());
            one->reactor->post(one->waiting);
        }
        asked.clear();
        if (stopping) return;
    }
}

Result<std::optional<std::string>> FunctionKeeper::look(const TouchedFolders& folders, bool everything, FunctionSet::HalfWritten patience, const PolicyRequest* policies) {
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
    auto change = parts_.functions.rescan(no_progress(), patience, everything ? nullptr : &folders, policies);
    failed_.store(!change, std::memory_order_relaxed);
    if (!change) {
        tell("watch", "", change.error().full_message());
        if (processes) processes->release();
        return fail(std::move(change.error()));
    }
    if (change->half_written) {
        if (processes) processes->release();
        return std::optional<std::string>();
    }
    parts_.runtime.refresh(parts_.functions.engines());
    parts_.front.refresh();
    revoke_lost(*change);
    report(*change);
    JsonWriter json;
    json.begin_object().member("success", true).member("count", static_cast<std::uint64_t>(change->count));
    for (const auto& [key, names] : {std::pair{"added", &change->added}, std::pair{"changed", &change->changed}, std::pair{"removed", &change->removed}, std::pair{"invalid", &change->invalid}}) {
        json.key(key).begin_array();
        for (const auto& name : *names) json.value(std::string_view(name));
        json.end_array();
    }
    if (!change->invalid.empty()) {
        json.key("problems").begin_object();
        for (const auto& name : std::set<std::string>(change->invalid.begin(), change->invalid.end())) json.key(name).raw(problems_json(problems_of(name, *change)));
        json.end_object();
    }
    json.end_object();
    return std::optional(json.take());
}

std::set<std::string> FunctionKeeper::missing_runtimes() const {
    std::set<std::string> missing;
    for (const auto& function : parts_.runtime.list()) {
        if (function->state == FunctionState::runtime_missing) missing.insert(function->runtime);
    }
    return missing;
}

/// Runtimes that functions need: those that are not there any more, or now are.
void FunctionKeeper::report_runtimes() {
    auto missing = missing_runtimes();
    const auto of = [](const std::string& runtime) { return "\"runtime\":" + json_quote(runtime); };
    for (const auto& runtime : missing) {
        if (!missing_.contains(runtime)) tell("missing", "", runtime, of(runtime));
    }
    for (const auto& runtime : missing_) {
        if (!missing.contains(runtime)) tell("found", "", runtime, of(runtime));
    }
    missing_ = std::move(missing);
}

std::set<std::string> FunctionKeeper::invalid_functions() const {
    std::set<std::string> names;
    for (const auto& function : parts_.runtime.list()) {
        if (function->state == FunctionState::invalid) names.insert(function->name);
    }
    return names;
}

std::vector<Diagnostic> FunctionKeeper::problems_of(const std::string& name, const FunctionSet::Change& change) const {
    if (const auto kept = change.problems.find(name); kept != change.problems.end()) return kept->second;
    const auto function = parts_.runtime.find(name);
    return function ? function->diagnostics : std::vector<Diagnostic>();
}

void FunctionKeeper::report_invalid(const std::string& name, const FunctionSet::Change& change) {
    const auto problems = problems_of(name, change);
    std::string text;
    const auto function = parts_.runtime.find(name);
    if (function && !problems.empty()) {
        const auto wrong = std::find_if(problems.begin(), problems.end(), [](const Diagnostic& one) { return !one.number.starts_with('W'); });
        const auto& problem = wrong == problems.end() ? problems.front() : *wrong;
        text = format("{}: {} [{}]", place_in_folder(*function, problem.place), problem.text, problem.number);
    }
    parts_.log.write(LogLevel::warn, "functions", format("{} is invalid: {}", name, text), {{"function", name}});
    tell("invalid", name, text, function ? "\"problems\":" + problems_json(problems) : std::string());
}

/// Calls of versions before go on without what the policies do not give any more.
void FunctionKeeper::revoke_lost(const FunctionSet::Change& change) {
    if (change.lost.empty()) return;
    for (const auto& call : parts_.runtime.running()) {
        const auto lost = change.lost.find(call.function->name);
        if (lost == change.lost.end() || call.function == parts_.runtime.find(call.function->name)) continue;
        for (const auto capability : lost->second) static_cast<void>(parts_.runtime.revoke(call.id, capability));  // it may have ended
    }
}

void FunctionKeeper::report(const FunctionSet::Change& change) {
    auto invalid = invalid_functions();
    auto told = change.invalid;  // and those whose name another one has come to claim
    for (const auto& name : invalid) {
        if (!invalid_.contains(name) && std::find(told.begin(), told.end(), name) == told.end()) told.push_back(name);
    }
    for (const auto& [what, names] : {std::pair{"added", &change.added}, std::pair{"changed", &change.changed}, std::pair{"removed", &change.removed}}) {
        for (const auto& name : *names) {
            // What became invalid is told as that.
            const bool changed = std::string_view(what) == "changed";
            if (changed && std::find(told.begin(), told.end(), name) != told.end()) continue;
            std::string text, members;
            if (const auto function = parts_.runtime.find(name)) {
                text = function->entry.lexically_relative(function->directory).string();
                if (const auto reasons = change.reasons.find(name); changed && reasons != change.reasons.end()) {
                    JsonWriter list;
                    list.begin_array();
                    text.clear();
                    for (const auto& reason : reasons->second) {
                        list.value(std::string_view(reason));
                        text += (text.empty() ? "" : ", ") + reason;
                    }
                    list.end_array();
                    members = "\"reasons\":" + list.take();
                }
            }
            tell(what, name, text, members);
        }
    }
    for (const auto& name : told) report_invalid(name, change);
    for (const auto& name : invalid_) {
        if (!invalid.contains(name) && parts_.runtime.find(name)) tell("valid", name, "");
    }
    report_runtimes();
    invalid_ = std::move(invalid);
    const auto total = change.added.size() + change.changed.size() + change.removed.size() + change.invalid.size();
    if (total > 0) {
        parts_.events.publish("reload.done", format(R"("count":{},"added":{},"changed":{},"removed":{},"invalid":{})", change.count, change.added.size(), change.changed.size(), change.removed.size(), change.invalid.size()));
    }
}

}  // namespace berth
