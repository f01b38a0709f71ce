#include "berth/app/compile_apart.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "berth/base/clock.hpp"
#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/limits.hpp"
#include "berth/base/sanitizers.hpp"
#include "berth/engine/code_cache.hpp"
#include "berth/engine/component.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/engine/wasm_engine.hpp"
#include "berth/process/launch.hpp"

namespace berth {
namespace {

/// A folder for one hand-over, gone with everything in it.
class HandOver {
public:
    static Result<std::unique_ptr<HandOver>> make() {
        std::error_code error;
        auto pattern = (std::filesystem::temp_directory_path(error) / "berth-compile-XXXXXX").string();
        if (error || ::mkdtemp(pattern.data()) == nullptr) return fail(Code::cannot_create, "no temporary folder can be made; see TMPDIR");
        return std::unique_ptr<HandOver>(new HandOver(std::move(pattern)));
    }
    ~HandOver() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    HandOver(const HandOver&) = delete;
    HandOver& operator=(const HandOver&) = delete;

    const std::string& path() const noexcept { return path_; }
    static CodeCache::Options cache(const std::filesystem::path& folder) { return {.directory = folder / "code", .key_file = folder / "key"}; }

private:
    explicit HandOver(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// What a finished process said, or that its time was over.
struct Answer {
    bool in_time = true;
    int status = 0;  // of waitpid
    std::string text;
};

/// Writing to a process that has ended is an error here, not a signal; the rest of this process keeps its own handling.
class NoPipeSignal {
public:
    NoPipeSignal() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~NoPipeSignal() {
        const timespec at_once{};
        while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoPipeSignal(const NoPipeSignal&) = delete;
    NoPipeSignal& operator=(const NoPipeSignal&) = delete;

private:
    sigset_t pipe_{}, before_{};
    bool was_pending_ = false;
};

/// Feeds the process and takes what it says until it ends; kills it when the time is over.
Answer talk(LaunchedProcess& process, ByteView input, SteadyTime until) {
    const NoPipeSignal quiet;
    Answer answer;
    bool killed = false;
    while (process.output) {
        const auto left = std::chrono::nanoseconds(until - std::chrono::steady_clock::now());
        if (!killed && left.count() <= 0) {
            ::kill(-process.pid, SIGKILL);
            killed = true;
            answer.in_time = false;
        }
        std::array<pollfd, 3> watched{pollfd{process.output.get(), POLLIN, 0}, pollfd{process.errors.get(), POLLIN, 0}, pollfd{process.input.get(), POLLOUT, 0}};
        const timespec wait{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
        if (::ppoll(watched.data(), watched.size(), killed || until == SteadyTime::max() ? nullptr : &wait, nullptr) < 0 && errno != EINTR) break;
        std::array<char, 4096> buffer;
        const auto take = [&](Descriptor& from, short events, std::string* into) {
            if (events == 0) return;
            const auto got = ::read(from.get(), buffer.data(), buffer.size());
            if (got > 0) {
                if (into != nullptr && into->size() < 65'536) into->append(buffer.data(), static_cast<std::size_t>(got));
            } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
                from.reset();
            }
        };
        take(process.output, watched[0].revents, &answer.text);
        take(process.errors, watched[1].revents, nullptr);
        if (watched[2].revents != 0) {
            const auto put = ::write(process.input.get(), input.data(), std::min<std::size_t>(input.size(), 1 << 20));
            if (put > 0) input = input.subspan(static_cast<std::size_t>(put));
            if (input.empty() || (put < 0 && errno != EAGAIN && errno != EINTR)) process.input.reset();
        }
    }
    while (::waitpid(process.pid, &answer.status, 0) < 0 && errno == EINTR) {
    }
    return answer;
}

std::string digit(bool flag) { return std::string(1, flag ? '1' : '0'); }

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// What of an engine decides about its code, as it is handed to the process that compiles.
struct CodeOptions {
    bool nan_canonicalisation, relaxed_simd_deterministic, epochs, components;

    EngineOptions engine() const {
        EngineOptions options;
        options.nan_canonicalisation = nan_canonicalisation;
        options.relaxed_simd_deterministic = relaxed_simd_deterministic;
        options.stop = epochs ? StopMethod::epochs : StopMethod::automatic;
        options.pooling = Choice::off;
        options.restore = false;
        options.components = options.engine_fuel = components;
        if (components) options.backtraces = false;
        return options;
    }
};

Result<CompiledModule> compile_here(const std::shared_ptr<WasmEngine>& engine, ByteView wasm, bool exact_depth) {
    if (engine->options().components) {
        BERTH_TRY(auto component, Component::compile(engine, wasm));
        return CompiledModule{.component = std::move(component)};
    }
    BERTH_TRY(const auto info, ModuleInfo::read(wasm, ModuleBounds{}));
    BERTH_TRY(auto metered, instrument(wasm, info, {.exact_depth = exact_depth}));
    BERTH_TRY(auto module, Module::compile(engine, metered.wasm, metered.restore));
    return CompiledModule{.module = std::move(module), .offsets = std::move(metered.offsets), .restore = metered.restore, .exact_depth = exact_depth};
}

Result<void> compile_into(const std::string& folder, bool exact_depth, const CodeOptions& options) {
    Bytes wasm;
    std::array<std::uint8_t, 65'536> buffer;
    while (true) {
        const auto got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::io_error, "the module cannot be read");
        if (got == 0) break;
        wasm.insert(wasm.end(), buffer.begin(), buffer.begin() + got);
    }
    BERTH_TRY(const auto engine, WasmEngine::create(options.engine()));
    BERTH_TRY(auto compiled, compile_here(engine, wasm, exact_depth));
    CodeCache cache(HandOver::cache(folder));
    cache.insert(CodeCache::key(Sha256().update(wasm), wasm.size(), exact_depth, *engine), std::move(compiled));
    if (cache.counters().written != 1) return fail(Code::cannot_create, "the compiled code cannot be written");
    return {};
}

}  // namespace

Result<std::shared_ptr<const CompiledModule>> compile_apart(ByteView wasm, bool exact_depth, const std::shared_ptr<WasmEngine>& engine, const CompileBounds& bounds) {
    BERTH_TRY(const auto folder, HandOver::make());
    const auto now = std::chrono::steady_clock::now();
    const auto until = bounds.time > SteadyTime::max() - now ? SteadyTime::max() : now + bounds.time;
    std::error_code error;
    const LaunchPlan plan{.program = bounds.program.empty() ? std::filesystem::read_symlink("/proc/self/exe", error).string() : bounds.program.string(),
                          .arguments = {"berth", compile_apart_word, folder->path(), digit(exact_depth), digit(engine->options().nan_canonicalisation), digit(engine->options().relaxed_simd_deterministic),
                                        digit(engine->options().stop == StopMethod::epochs), digit(engine->options().components), format("{}", bounds.memory)},
                          .environment = {},
                          .directory = "/"};
    auto process = launch(plan);
    if (!process) return fail(Code::spawn_failed, format("the process that compiles could not be started: {} failed with {}", process.error().step, errno_name(process.error().problem)));
    const auto answer = talk(*process, wasm, until);
    if (!answer.in_time) return fail(over_limit(Limit::load, static_cast<std::uint64_t>(bounds.time.count())));
    if (WIFSIGNALED(answer.status)) {
        Error died(Code::invalid_module, format("its compilation ended with signal {}; it may use {} of memory at most", signal_name(WTERMSIG(answer.status)), limit_text(Limit::memory, bounds.memory)));
        return fail(std::move(died));
    }
    if (WEXITSTATUS(answer.status) != 0) {
        // `code`, a line end, the message.
        const auto line = answer.text.find('\n');
        const auto code = code_named(answer.text.substr(0, line));
        return fail(code.value_or(Code::compile_failed), line == std::string::npos ? std::string("its compilation failed") : answer.text.substr(line + 1));
    }
    CodeCache cache(HandOver::cache(folder->path()));
    auto compiled = cache.find(CodeCache::key(Sha256().update(wasm), wasm.size(), exact_depth, *engine), engine);
    if (!compiled) return fail(Code::runtime_bug, "the process that compiled left no code that fits this engine");
    return compiled;
}

bool compile_apart_bounds_memory() noexcept { return !address_sanitized && !thread_sanitized; }

int compile_apart_main(int argc, char** argv) {
    const auto memory = argc == 9 ? number(argv[8]) : std::nullopt;
    if (!memory) return row(Code::usage).exit;
    const rlimit bound{*memory, *memory};
    const rlimit no_core{0, 0};
    if (compile_apart_bounds_memory()) ::setrlimit(RLIMIT_AS, &bound);
    ::setrlimit(RLIMIT_CORE, &no_core);
    const auto flag = [&](int at) { return std::strcmp(argv[at], "1") == 0; };
    const auto done = compile_into(argv[2], flag(3), {.nan_canonicalisation = flag(4), .relaxed_simd_deterministic = flag(5), .epochs = flag(6), .components = flag(7)});
    if (done) return 0;
    const auto text = format("{}\n{}", name(done.error().code()), done.error().full_message());
    for (std::string_view rest = text; !rest.empty();) {
        const auto put = ::write(STDOUT_FILENO, rest.data(), rest.size());
        if (put <= 0) break;
        rest.remove_prefix(static_cast<std::size_t>(put));
    }
    return 1;
}

}  // namespace berth
