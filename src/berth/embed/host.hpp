#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"

/// Berth as a library: load a module that somebody else wrote, say what it may do, call it, see what it used.
///
/// Everything here is safe from any thread. A call runs on the thread that makes it and blocks it; other threads see the
/// call in `Program::running` and can cancel it or take capabilities away from it.
namespace berth::embed {

/// Where things are kept. What is left empty is not kept at all.
struct HostOptions {
    std::filesystem::path cache;  // compiled code; may be deleted at any time
    std::filesystem::path state;  // the key of the cache; needed for it
    std::filesystem::path journals;  // what each call asked of its host and was given, as ID.bj, for `berth replay`; made when it is not there
};

/// What one program may do. A program starts with nothing: what is not named here is denied, and the call goes on with the
/// denial as its world has it.
struct Grants {
    std::vector<std::string> allow;        // CAPABILITY or CAPABILITY=SCOPE[,SCOPE…]: `time.now`, `fs.read=data/**`
    std::vector<std::string> mounts;       // NAME=DIR[:rw]: the guest sees DIR as /NAME, and may read it
    std::vector<std::string> environment;  // NAME=VALUE
    std::vector<std::string> limits;       // NAME=VALUE: `memory=16MiB`, `wall=1s`, `fuel=1000000`
    std::filesystem::path policy;          // policy file that all this comes on top of; empty: none
    bool deterministic = false;            // virtual clock, seeded randomness, files in memory
};

/// One call.
struct CallInput {
    std::string entry;                   // export to call; empty: _start of a command
    std::string input;                   // JSON array of arguments of an export; standard input of a command
    std::vector<std::string> arguments;  // of a command, or of an export as text
    std::optional<std::chrono::nanoseconds> timeout;  // beside the limit `wall`
    std::string id;                      // by which others reach the call, and of letters, digits and -_. where it names a journal; empty: one is made
};

struct Usage {
    std::uint64_t fuel = 0;
    std::uint64_t peak_memory = 0;  // bytes
    std::uint64_t host_calls = 0;
    std::chrono::nanoseconds run{0};
};

/// One refused use of a capability.
struct Denied {
    std::string function;    // host function that was called: `path_open`
    std::string capability;
    std::string scope;       // asked for; may be empty
    std::string fix;         // the line to add to a policy
};

/// How a call ended. `error` is empty when it succeeded; `output` may be filled even then.
struct CallResult {
    std::string id;             // of the call
    std::optional<Error> error;
    std::string output;         // JSON of the results of an export; standard output of a command
    std::string error_output;   // standard error of a command
    std::optional<int> exit_status;
    std::vector<Denied> denied;
    Usage usage;

    explicit operator bool() const noexcept { return !error; }
};

/// A call that has not ended.
struct RunningCall {
    std::string id;
    std::string function;
    bool waits = false;  // for its turn
    std::chrono::system_clock::time_point started;
};

class Host;

/// An instance that stays between calls: its memory, tables and globals are those that the last call left. Each entry is a
/// call with the same grants, limits, counting, recording and refusals as any other; a second one while one runs is refused with
/// `conflict`. After a call that did not return (trap, limit, cancellation) the instance is closed: entering it fails with
/// `instance_terminated`.
class Instance {
public:
    ~Instance();
    Instance(Instance&&) noexcept;
    Instance& operator=(Instance&&) noexcept;

    CallResult call(CallInput input);
    /// From any thread: takes a capability away, for the call in progress and every later one. False when it was not held.
    Result<bool> revoke(std::string_view capability);
    bool closed() const noexcept;

private:
    friend class Program;
    struct Parts;
    explicit Instance(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// One module under one set of grants. The host outlives it.
class Program {
public:
    ~Program();
    Program(Program&&) noexcept;
    Program& operator=(Program&&) noexcept;

    /// Runs one call in a fresh instance.
    CallResult call(CallInput input);
    /// Makes an instance that stays.
    Result<Instance> instantiate();

    /// Names of the exported functions; `_start` stands for a command.
    std::vector<std::string> exports() const;

    /// The calls in progress, oldest first.
    std::vector<RunningCall> running() const;
    /// Ends a call. Fails with not_found when there is none of this id.
    Result<void> cancel(std::string_view id);
    /// Takes a capability away from a call that runs: what it does from then on is denied, what is in progress is answered with
    /// the denial, what was opened under it is closed. False when the call did not hold it.
    Result<bool> revoke(std::string_view id, std::string_view capability);

private:
    friend class Host;
    friend class Instance;
    struct Parts;
    explicit Program(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// What all programs of a process share: the engine, the worlds, the cache. Usually one a process.
class Host {
public:
    static Result<Host> create(HostOptions options = {});
    ~Host();
    Host(Host&&) noexcept;
    Host& operator=(Host&&) noexcept;

    /// Reads, checks and compiles a module (binary or text form) and settles its grants. `grants` that name something
    /// unknown are refused by name.
    Result<Program> load(const std::filesystem::path& file, const Grants& grants = {});
    /// All counters of the process in the Prometheus text format.
    std::string metrics() const;

private:
    struct Parts;
    explicit Host(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace berth::embed
