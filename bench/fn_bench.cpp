// Functions against what the system itself costs: a launch, three pipes, a poll loop, a wait, no JSON.
//
//     fn_bench FOLDER --runtimes ORIGIN SHIPPED (folder of runtimes as data), --front PORT, --mixed CALLS, --plain CALLS PARALLEL [WAY]
//     fn_bench FOLDER ORIGIN      FOLDER has the functions echo and sleeper; ORIGIN is bench/fn_origin.go, built
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "bench/rows.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/json.hpp"
#include "berth/process/tree.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/subprocess.hpp"

namespace berth::bench {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

/// A program as it is started without us.
struct Command {
    std::vector<std::string> words;
    std::string folder;
    std::vector<std::string> environment{"PATH=/usr/bin:/bin"};
};

/// One call with nothing but system calls.
double bare_call(const Command& command, std::string_view request) {
    const auto pointers = [](const std::vector<std::string>& texts) {
        std::vector<char*> all;
        for (const auto& text : texts) all.push_back(const_cast<char*>(text.c_str()));
        all.push_back(nullptr);
        return all;
    };
    const auto words = pointers(command.words), environment = pointers(command.environment);
    const auto begin = Clock::now();
    int in[2], out[2], errors[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(errors, O_CLOEXEC) != 0) return 0;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    ::posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
    if (!command.folder.empty()) ::posix_spawn_file_actions_addchdir_np(&actions, command.folder.c_str());
    pid_t pid = 0;
    if (::posix_spawn(&pid, words[0], &actions, nullptr, words.data(), environment.data()) != 0) return 0;
    ::posix_spawn_file_actions_destroy(&actions);
    for (const int end : {in[0], out[1], errors[1]}) ::close(end);
    std::string answer;
    char part[65536];
    pollfd ends[3] = {{in[1], POLLOUT, 0}, {out[0], POLLIN, 0}, {errors[0], POLLIN, 0}};
    while (ends[1].fd >= 0 || ends[2].fd >= 0) {
        ::poll(ends, 3, -1);
        if (ends[0].fd >= 0 && ends[0].revents != 0) {
            const auto written = ::write(ends[0].fd, request.data(), request.size());
            if (written > 0) request.remove_prefix(static_cast<std::size_t>(written));
            if (written <= 0 || request.empty()) {
                ::close(ends[0].fd);
                ends[0].fd = -1;
            }
        }
        for (int i = 1; i < 3; ++i) {
            if (ends[i].fd < 0 || ends[i].revents == 0) continue;
            const auto got = ::read(ends[i].fd, part, sizeof part);
            if (got > 0 && i == 1) answer.append(part, static_cast<std::size_t>(got));
            if (got <= 0) {
                ::close(ends[i].fd);
                ends[i].fd = -1;
            }
        }
    }
    if (ends[0].fd >= 0) ::close(ends[0].fd);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return answer.empty() ? 0 : microseconds(Clock::now() - begin);
}

struct Engine {
    Engine(const std::filesystem::path& folder, TreeLevel level, std::size_t places = 0, std::shared_ptr<const RuntimeRegistry> runtimes = std::make_shared<const RuntimeRegistry>()) {
        const std::vector<std::filesystem::path> paths{folder};
        DiscoverySettings settings;
        settings.runtimes = runtimes;
        auto found = discover(paths, settings);
        SubprocessOptions options;
        options.runtimes = std::move(runtimes);
        options.environment["PATH"] = "/usr/local/bin:/usr/bin:/bin";
        for (const auto* name : {"PATH", "HOME"}) {
            if (const char* value = std::getenv(name); value != nullptr) options.environment[name] = value;
        }
        options.defaults = default_limits("subprocess", 2);
        options.tree = level;
        options.metrics = &metrics;
        engine = SubprocessEngine::create(std::move(options), std::move(found->functions), *reactors, log);
        const auto bounds = [places](EngineKind kind) {
            auto bound = default_bounds(kind);
            if (places > 0) bound = {.running = places, .waiting = 10'000, .wait = std::chrono::minutes(5)};
            return bound;
        };
        runtime = std::make_unique<Runtime>(Runtime::Setup{.clock = clock, .metrics = metrics, .log = &log, .reactors = reactors.get(), .bounds = bounds}, std::vector<berth::Engine*>{engine.get()});
    }
    ~Engine() { sync_wait(runtime->close(std::chrono::seconds(10))); }

    Task<double> call(std::string_view function, std::string input) {
        Call call;
        call.function = function;
        call.input = {std::move(input), "application/json"};
        const auto begin = Clock::now();
        const auto outcome = co_await runtime->call(std::move(call));
        if (outcome.error) {
            std::fprintf(stderr, "%s\n", outcome.error->message().c_str());
            co_return 0.0;
        }
        co_return microseconds(Clock::now() - begin);
    }
    /// Calls one after the other in a reactor, as a server makes them.
    std::vector<double> one_by_one(std::string_view function, int count, std::string input = "{}") {
        return sync_wait(run_on(reactors->at(0), [](Engine& engine, std::string_view function, int count, std::string input) -> Task<std::vector<double>> {
            std::vector<double> times;
            for (int i = 0; i < count; ++i) times.push_back(co_await engine.call(function, input));
            co_return times;
        }(*this, function, count, std::move(input))));
    }
    /// Seconds for `count` calls with so many at once.
    double at_once(std::string_view function, int count, int parallel) {
        TaskScope scope;
        std::atomic<int> next{0};
        const auto begin = Clock::now();
        for (int i = 0; i < parallel; ++i) {
            scope.spawn(reactors->next(), [](Engine& engine, std::string_view function, std::atomic<int>& next, int count) -> Task<void> {
                while (next.fetch_add(1) < count) co_await engine.call(function, "{}");
            }(*this, function, next, count));
        }
        sync_wait(scope.join());
        return microseconds(Clock::now() - begin) / 1e6;
    }

    SystemClock clock;
    MetricRegistry metrics;
    Log log{LogLevel::error, clock, [](std::string_view) {}};
    std::unique_ptr<Reactors> reactors = Reactors::start(2);
    std::unique_ptr<SubprocessEngine> engine;
    std::unique_ptr<Runtime> runtime;
};

/// Total microseconds, then those of each call.
std::vector<double> origin(const std::string& program, const std::string& function, int count, int parallel, std::size_t bytes) {
    const auto command = program + " " + function + " " + std::to_string(count) + " " + std::to_string(parallel) + " " + std::to_string(bytes);
    std::vector<double> all;
    FILE* out = ::popen(command.c_str(), "r");
    double value = 0;
    while (out && std::fscanf(out, "%lf", &value) == 1) all.push_back(value);
    if (out) ::pclose(out);
    return all;
}

double part_median(const std::vector<double>& all) { return median({all.begin() + 1, all.end()}); }

void run(const std::filesystem::path& folder, const std::string& origin_program) {
    const auto echo = (folder / "echo/handler").string();
    const std::string request = R"({"request_id":"0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4","function_name":"echo","input":{},"context":{"auth":null,"env":{},"alyx_url":"","internal_token":""}})" "\n";
    const Command bare_echo{{echo}, "", {"PATH=/usr/bin:/bin"}};
    constexpr int rounds = 9, calls = 120;

    std::vector<double> bare, group, cgroup, go;
    {
        Engine by_group(folder, TreeLevel::group), by_cgroup(folder, TreeLevel::automatic);
        for (int i = 0; i < rounds; ++i) {
            std::vector<double> times;
            for (int j = 0; j < calls; ++j) times.push_back(bare_call(bare_echo, request));
            bare.push_back(median(times));
            group.push_back(median(by_group.one_by_one("echo", calls)));
            cgroup.push_back(median(by_cgroup.one_by_one("echo", calls)));
            go.push_back(part_median(origin(origin_program, echo, calls, 1, 0)));
        }
        std::printf("static echo, us: bare %.0f, group %.0f, cgroup %.0f, os/exec %.0f\n", median(bare), median(group), median(cgroup), median(go));
        row("fn-call-group", paired(group, bare));
        if (by_cgroup.engine->tree_level() == TreeLevel::cgroup) row("fn-call-cgroup", paired(cgroup, bare));
        row("fn-call-origin", paired(cgroup, go));

        std::vector<double> ours, theirs;
        for (int i = 0; i < 5; ++i) {
            ours.push_back(800 / by_cgroup.at_once("echo", 800, 16));
            theirs.push_back(800 / (origin(origin_program, echo, 800, 16, 0).front() / 1e6));
        }
        std::printf("static echo, 16 at once: %.0f/s, os/exec %.0f/s\n", median(ours), median(theirs));
        row("fn-throughput-origin", paired(ours, theirs));
    }
    {
        Engine engine(folder, TreeLevel::automatic);
        const auto large = "{\"text\":\"" + std::string(64 << 20, 'y') + "\"}";
        std::vector<double> ours, theirs;
        for (int i = 0; i < 3; ++i) {
            ours.push_back(engine.one_by_one("echo", 1, large).front());
            theirs.push_back(part_median(origin(origin_program, echo, 1, 1, 64 << 20)));
        }
        std::printf("64 MiB in and out: %.0f ms, os/exec %.0f ms\n", median(ours) / 1e3, median(theirs) / 1e3);
        row("fn-large-origin", paired(ours, theirs));
    }
    {
        Engine engine(folder, TreeLevel::automatic);
        std::vector<double> small, big;
        for (int i = 0; i < 5; ++i) {
            small.push_back(median(engine.one_by_one("echo", calls)));
            std::vector<char> resident(std::size_t{2} << 30, 1);
            big.push_back(median(engine.one_by_one("echo", calls)));
            if (resident[1 << 20] != 1) std::abort();
        }
        row("fn-host-size", paired(big, small));
    }
    {
        Engine engine(folder, TreeLevel::automatic, 16);
        engine.at_once("sleeper", 16, 16);
        const auto took = engine.at_once("sleeper", 1000, 1000);
        std::printf("1000 calls of 100 ms at 16 places: %.2f s\n", took);
        row("fn-thousand-at-16", took / (1000.0 / 16 * 0.1));
    }
    {
        const auto speed = [](const std::string& text) {
            std::vector<double> all;
            for (int i = 0; i < 5; ++i) {
                const auto begin = cpu_now();
                JsonChecker checker;
                if (!checker.feed(text) || !checker.finish()) std::abort();
                all.push_back(static_cast<double>(text.size()) / (cpu_now() - begin));
            }
            return median(all);
        };
        row("fn-json-strings", speed("[\"" + std::string(64 << 20, 'x') + "\"]"));
        std::string numbers = "[1";
        while (numbers.size() < (64 << 20)) numbers += ",123456.789";
        row("fn-json-numbers", speed(numbers + "]"));
    }
    {
        const std::vector<std::filesystem::path> paths{folder / "many"};
        std::vector<double> times;
        for (int i = 0; i < 5; ++i) {
            const auto begin = Clock::now();
            const auto found = discover(paths, DiscoverySettings{});
            times.push_back(microseconds(Clock::now() - begin) / 1e3);
            if (!found || found->functions.size() != 1000) std::abort();
        }
        row("fn-scan-1000-ms", median(times));
    }
}

/// Interpreters, started by us and by nothing but system calls in turn; then many at once against os/exec.
void runtimes(const std::filesystem::path& folder, const std::string& origin_program, const std::filesystem::path& shipped) {
    const std::string request = R"({"request_id":"0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4","function_name":"f","input":{},"context":{"auth":null,"env":{},"alyx_url":"","internal_token":""}})" "\n";
    auto registry = RuntimeRegistry::load({&shipped, 1});
    if (!registry) {
        std::fprintf(stderr, "%s\n", registry.error().full_message().c_str());
        std::exit(1);
    }
    Engine engine(folder, TreeLevel::automatic, 0, std::make_shared<const RuntimeRegistry>(std::move(*registry)));
    for (const auto& function : engine.runtime->list()) {
        const auto registry = engine.engine->finder().registry();
        const auto& runtimes = registry->all();
        const auto found = std::find_if(runtimes.begin(), runtimes.end(), [&](const auto& one) { return one->name == function->runtime; });
        auto& finder = engine.engine->finder();  // both sides start the interpreter itself, not a version manager's script
        const auto program = found == runtimes.end() ? std::string() : finder.find(**found, *function, finder.choice(**found, function->directory)).value_or("");
        if (program.empty()) {
            std::fprintf(stderr, "%s is not installed\n", function->runtime.c_str());
            std::exit(1);
        }
        Command command{{program}, function->directory.string(), {}};
        command.words.insert(command.words.end(), (*found)->args.begin(), (*found)->args.end());
        command.words.push_back("./" + function->entry.filename().string());
        for (const auto* name : {"PATH", "HOME"}) command.environment.push_back(std::string(name) + "=" + (std::getenv(name) ? std::getenv(name) : ""));
        command.environment.push_back("LANG=C.UTF-8");
        command.environment.push_back("NO_COLOR=1");
        engine.one_by_one(function->name, 2);
        constexpr int rounds = 9, calls = 8;
        std::vector<double> more, bare, ours;
        for (int i = 0; i < rounds; ++i) {
            std::vector<double> plain, called;
            for (int j = 0; j < calls; ++j) {  // one after the other, so that both meet the same machine
                plain.push_back(bare_call(command, request));
                called.push_back(engine.one_by_one(function->name, 1).front());
            }
            bare.push_back(median(plain));
            ours.push_back(median(called));
            more.push_back((ours.back() - 1.03 * bare.back()) / 1e3);
        }
        std::printf("%s, ms: bare %.2f, ours %.2f\n", function->name.c_str(), median(bare) / 1e3, median(ours) / 1e3);
        row(("fn-runtime-" + function->name + "-ms").c_str(), median(more));
        if (function->name != "node" && function->name != "python") continue;
        const int parallel = 2 * static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
        std::string rest;
        for (std::size_t i = 1; i < command.words.size(); ++i) rest += (i > 1 ? " " : "") + command.words[i];
        ::setenv("FN_ARGUMENTS", rest.c_str(), 1);
        ::setenv("FN_FOLDER", command.folder.c_str(), 1);
        std::vector<double> rate, theirs;
        for (int i = 0; i < 5; ++i) {
            rate.push_back(60 / engine.at_once(function->name, 60, parallel));
            theirs.push_back(60 / (origin(origin_program, program, 60, parallel, 0).front() / 1e6));
        }
        ::unsetenv("FN_ARGUMENTS");
        ::unsetenv("FN_FOLDER");
        std::printf("%s, %d at once: %.1f/s, os/exec %.1f/s\n", function->name.c_str(), parallel, median(rate), median(theirs));
        row(("fn-throughput-" + function->name).c_str(), paired(rate, theirs));
    }
}

/// A connection that stays, to a host on this machine, until the host asks for a new one.
class Client {
public:
    explicit Client(int port) : port_(port) { connect(); }
    ~Client() { ::close(socket_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void call() {
        static constexpr std::string_view request = "POST /api/functions/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) give_up("the request could not be sent", {});
        std::string text;
        char part[16384];
        std::string_view head;
        while (true) {
            const auto got = ::recv(socket_, part, sizeof part, 0);
            if (got <= 0) give_up("the connection ended inside an answer", text);
            text.append(part, static_cast<std::size_t>(got));
            const auto end = text.find("\r\n\r\n");
            if (end == std::string::npos) continue;
            head = std::string_view(text).substr(0, end + 2);
            const auto length = head.find("Content-Length: ");
            if (length == std::string_view::npos) give_up("an answer without a length", text);
            if (text.size() >= end + 4 + std::strtoul(text.c_str() + length + 16, nullptr, 10)) break;
        }
        if (!text.starts_with("HTTP/1.1 200")) give_up("not a good answer", text);
        if (head.find("\r\nConnection: close\r\n") == std::string_view::npos) return;
        ::close(socket_);  // a connection takes so many requests and no more
        connect();
    }

private:
    void connect() {
        socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port_));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int one = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) give_up("no connection", std::strerror(errno));
    }
    [[noreturn]] static void give_up(const char* what, std::string_view seen) {
        std::fprintf(stderr, "fn_bench: %s: %.*s\n", what, static_cast<int>(std::min<std::size_t>(seen.size(), 400)), seen.data());
        std::exit(1);
    }

    const int port_;
    int socket_ = -1;
};

/// A host of its own against the engine in this process: one call at a time, then at half of what the engine can do.
void front(const std::filesystem::path& folder, int port) {
    Engine engine(folder, TreeLevel::automatic);
    Client client(port);
    constexpr int rounds = 15, calls = 100;
    std::vector<double> more;
    for (int i = 0; i < rounds; ++i) {
        std::vector<double> over, inside;
        for (int j = 0; j < calls; ++j) {
            const auto begin = Clock::now();
            client.call();
            over.push_back(microseconds(Clock::now() - begin));
            inside.push_back(engine.one_by_one("echo", 1).front());
        }
        more.push_back((median(over) - median(inside)) / 1e3);
    }
    row("fn-front-p50-ms", median(more));

    const auto rate = 800 / engine.at_once("echo", 800, 16) / 2;
    const auto paced = [rate](int count, int workers, const std::function<std::function<void()>()>& connect) {
        std::vector<double> times(static_cast<std::size_t>(count));
        std::atomic<int> next{0};
        const auto begin = Clock::now();
        std::vector<std::thread> threads;
        for (int i = 0; i < workers; ++i) {
            threads.emplace_back([&] {
                const auto call = connect();
                for (int at = next.fetch_add(1); at < count; at = next.fetch_add(1)) {
                    const auto due = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(at / rate));
                    std::this_thread::sleep_until(due);
                    call();
                    times[static_cast<std::size_t>(at)] = microseconds(Clock::now() - due);
                }
            });
        }
        for (auto& thread : threads) thread.join();
        std::sort(times.begin(), times.end());
        return times[times.size() * 99 / 100];
    };
    std::vector<double> later;
    for (int i = 0; i < 5; ++i) {
        const auto over = paced(1500, 16, [port] {
            const auto own = std::make_shared<Client>(port);
            return [own] { own->call(); };
        });
        const auto inside = paced(1500, 16, [&engine] {
            return [&engine] { sync_wait(run_on(engine.reactors->next(), engine.call("echo", "{}"))); };
        });
        later.push_back((over - inside) / 1e3);
        std::printf("at %.0f/s, 99th percentile: over HTTP %.2f ms, engine %.2f ms\n", rate, over / 1e3, inside / 1e3);
    }
    row("fn-front-p99-ms", median(later));
}

/// Nothing but calls of the static echo, for a profiler: how many a second, and the processor time of each, that of its
/// process included. By bare system calls, and by the engine with each way to know a tree.
void plain(const std::filesystem::path& folder, int count, int parallel, std::string_view only) {
    const auto used = [] {
        double total = 0;
        for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
            rusage usage{};
            ::getrusage(who, &usage);
            total += static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
        }
        return total;
    };
    const auto measure = [&](const char* name, const std::function<void(int)>& calls) {
        if (!only.empty() && only != name) return;
        calls(200);
        const auto before = used();
        const auto begin = Clock::now();
        calls(count);
        std::printf("%-7s %5.0f/s, %4.0f us of processor time each\n", name, count / (microseconds(Clock::now() - begin) / 1e6), (used() - before) / count);
    };
    measure("bare", [&](int calls) {
        const Command echo{{(folder / "echo/handler").string()}, "", {"PATH=/usr/bin:/bin"}};
        std::atomic<int> next{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < parallel; ++i) {
            threads.emplace_back([&] {
                while (next.fetch_add(1) < calls) bare_call(echo, "{}\n");
            });
        }
        for (auto& thread : threads) thread.join();
    });
    for (const auto& [name, level] : {std::pair{"group", TreeLevel::group}, std::pair{"cgroup", TreeLevel::automatic}}) {
        Engine engine(folder, level);
        measure(name, [&](int calls) { engine.at_once("echo", calls, parallel); });
    }
}

/// Mixed calls, half of them faults: what is left of descriptors and memory.
void mixed(const std::filesystem::path& folder, int count) {
    Engine engine(folder, TreeLevel::automatic);
    const auto resident = [] {
        long total = 0, pages = 0;
        if (FILE* file = std::fopen("/proc/self/statm", "r")) {
            if (std::fscanf(file, "%ld %ld", &total, &pages) != 2) pages = 0;
            std::fclose(file);
        }
        return static_cast<double>(pages) * 4096 / 1048576;
    };
    const auto descriptors = [] {
        std::error_code ignored;
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd", ignored), std::filesystem::directory_iterator());
    };
    const char* inputs[] = {R"({"do":"answer"})", R"({"do":"exit-quiet","n":7})", R"({"do":"answer"})", R"({"do":"signal","n":11})", R"({"do":"echo"})", R"({"do":"garbage"})", R"({"do":"answer"})", R"({"do":"leave-child"})",
        R"({"do":"answer"})", R"({"do":"empty"})"};
    std::atomic<int> next{0};
    const auto calls = [&](int until) {
        TaskScope scope;
        for (int i = 0; i < 8; ++i) {
            scope.spawn(engine.reactors->next(), [](Engine& engine, std::atomic<int>& next, int until, const char** inputs) -> Task<void> {
                for (int at = next.fetch_add(1); at < until; at = next.fetch_add(1)) {
                    Call call;
                    call.function = "probe";
                    call.input = {inputs[at % 10], "application/json"};
                    const auto outcome = co_await engine.runtime->call(std::move(call));
                }
            }(engine, next, until, inputs));
        }
        sync_wait(scope.join());
        next = until;
    };
    calls(1000);
    ::usleep(500'000);
    const auto memory = resident();
    const auto open = descriptors();
    calls(count);
    ::usleep(500'000);
    row("fn-mixed-calls", count);
    row("fn-mixed-memory-mb", resident() - memory);
    row("fn-mixed-descriptors", static_cast<double>(descriptors() - open));
    siginfo_t info{};
    row("fn-mixed-children", ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? 1 : 0);
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
    berth::adopt_orphans();
    if (argc == 4 && std::strcmp(argv[2], "--mixed") == 0) berth::bench::mixed(argv[1], std::atoi(argv[3]));
    else if (argc == 5 && std::strcmp(argv[2], "--runtimes") == 0) berth::bench::runtimes(argv[1], argv[3], argv[4]);
    else if (argc == 4 && std::strcmp(argv[2], "--front") == 0) berth::bench::front(argv[1], std::atoi(argv[3]));
    else if ((argc == 5 || argc == 6) && std::strcmp(argv[2], "--plain") == 0) berth::bench::plain(argv[1], std::atoi(argv[3]), std::atoi(argv[4]), argc == 6 ? argv[5] : "");
    else if (argc == 3) berth::bench::run(argv[1], argv[2]);
    else return 2;
}
