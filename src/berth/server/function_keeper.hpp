#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "berth/app/function_set.hpp"
#include "berth/async/reactor.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/server/event_feed.hpp"
#include "berth/server/folder_watch.hpp"
#include "berth/server/http_front.hpp"

namespace berth {

/// Looks for functions again while a server runs: when it is asked to, and when a file of them changes. One thread of its
/// own does that, so that nothing that serves waits for a compiler. Everything it is made with outlives it.
class FunctionKeeper {
public:
    /// One thing that happened, for people.
    struct News {
        std::string what;       // added, changed, removed, invalid, build, built, failed, watch
        std::string function;
        std::string text;
    };
    using Listener = std::function<void(const News&)>;
    struct Parts {
        FunctionSet& functions;
        Runtime& runtime;
        FunctionFront& front;
        Log& log;
        EventFeed& events;
        Listener listener;      // called on the keeper's thread
        bool watch = false;
    };
    explicit FunctionKeeper(Parts parts);
    ~FunctionKeeper();

    /// Looks now, under these policies where they are given; what changed, as JSON. Continues in the reactor it was awaited in.
    Task<Result<std::string>> reload(std::shared_ptr<const PolicyRequest> policies = nullptr);
    void stop();
    /// Whether the last look failed, so that what is served is older than what lies in the folders.
    bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

private:
    struct Asked {
        Reactor* reactor;
        std::coroutine_handle<> waiting;
        Result<std::string> answer;
        std::shared_ptr<const PolicyRequest> policies;  // null: those there are
    };
    void work();
    /// What changed, as JSON; nothing when a manifest seems to be written right now and `patience` allows to look again. Only
    /// in `folders`, unless everything is to be looked at.
    Result<std::optional<std::string>> look(const TouchedFolders& folders, bool everything, FunctionSet::HalfWritten patience, const PolicyRequest* policies);
    FolderWatch::Event wait(SteadyTime until);
    void report(const FunctionSet::Change& change);
    /// `members`: more of the event, as members of its JSON object.
    void tell(std::string what, std::string function, std::string text, std::string members = {});
    std::set<std::string> missing_runtimes() const;
    std::set<std::string> invalid_functions() const;
    void report_invalid(const std::string& name, const FunctionSet::Change& change);
    /// What is wrong with a function, or with the new version that does not take its place.
    std::vector<Diagnostic> problems_of(const std::string& name, const FunctionSet::Change& change) const;
    void revoke_lost(const FunctionSet::Change& change);
    void report_runtimes();

    Parts parts_;
    std::mutex mutex_;
    std::deque<Asked*> asked_;      // guarded by mutex_
    bool stopping_ = false;         // guarded by mutex_
    Descriptor wake_;
    std::atomic<bool> failed_{false};
    std::set<std::string> missing_;  // runtimes that some function needs and that are not there; of the thread
    std::set<std::string> invalid_;  // names that were invalid at the last look; of the thread
    std::unique_ptr<FolderWatch> watch_;  // begun before anybody is told that the server is there; null without watching
    std::thread thread_;
};

}  // namespace berth
