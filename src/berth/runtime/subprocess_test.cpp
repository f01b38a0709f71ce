#include "berth/runtime/subprocess.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>

#include "berth/async/sync_wait.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/base/json.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/host/journal.hpp"
#include "berth/process/tree.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/runtime.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

class SubprocessTest : public ::testing::Test {
protected:
    static void SetUpTestSuite() { ASSERT_TRUE(adopt_orphans()); }
    void SetUp() override {
        for (const char* name : {"PATH", "HOME"}) {
            if (const char* value = std::getenv(name)) options_.environment[name] = value;
        }
        options_.environment["SECRET_OF_THE_HOST"] = "1";
        options_.defaults = default_limits("subprocess", 2);
    }
    void TearDown() override {
        if (engine_) sync_wait(engine_->close(0ms));
        engine_.reset();
    }

    void write(const fs::path& relative, std::string_view text, bool executable = false) { root_.write(relative, text, executable); }
    /// A function that is a shell script.
    void shell(const std::string& name, std::string_view script, std::string_view manifest = "") {
        write(name + "/handler", std::string("#!/bin/sh\n") + std::string(script), true);
        if (!manifest.empty()) write(name + "/manifest.yaml", manifest);
    }
    void start() {
        const std::vector<fs::path> paths{root_};
        auto found = discover(paths, DiscoverySettings{});
        ASSERT_TRUE(found);
        engine_ = SubprocessEngine::create(options_, std::move(found->functions), *reactors_, log_);
    }
    FunctionRef function(std::string_view name) {
        if (!engine_) start();
        for (const auto& one : engine_->list()) {
            if (one->name == name) return one;
        }
        ADD_FAILURE() << "no function " << name;
        return nullptr;
    }
    Outcome call(std::string_view name, std::string input = "{}", std::function<void(Call&)> change = {}) {
        Call call;
        call.id = new_call_id();
        call.request_id = call.id;
        call.function = name;
        call.input = {std::move(input), "application/json"};
        call.trigger = Trigger::http;
        if (change) change(call);
        const auto found = function(name);
        return sync_wait(engine_->call(found, call));
    }
    std::string output(std::string_view name, std::string input = "{}") {
        const auto outcome = call(name, std::move(input));
        return outcome.error ? std::string(berth::name(outcome.error->code())) + ": " + outcome.error->message() : outcome.output.bytes;
    }
    std::string code(const Outcome& outcome) { return std::string(outcome.error ? berth::name(outcome.error->code()) : "ok"); }

    testing::TempDir root_;
    SystemClock clock_;
    std::mutex log_mutex_;
    std::string logged_;
    Log log_{LogLevel::debug, clock_, [this](std::string_view line) { logged_ += line; }};
    SubprocessOptions options_;
    std::unique_ptr<Reactors> reactors_ = Reactors::start(1);
    std::unique_ptr<SubprocessEngine> engine_;
};

TEST_F(SubprocessTest, PythonAnswers) {
    write("hello/index.py",
          "import json, sys\nr = json.load(sys.stdin)\nprint('to the log', file=sys.stderr)\n"
          "print(json.dumps({'success': True, 'output': {'greeting': 'Hello, ' + r['input']['name']}, 'logs': [{'level': 'info', 'message': 'm'}]}))\n");
    const auto outcome = call("hello", R"({"name":"Ada"})");
    ASSERT_FALSE(outcome.error) << outcome.error->message();
    EXPECT_EQ(outcome.output.bytes, R"({"greeting": "Hello, Ada"})");
    EXPECT_EQ(outcome.logs.size(), 1U);
    EXPECT_THAT(logged_, HasSubstr("to the log"));
    EXPECT_GT(outcome.timing.run.count(), 0);
}

TEST_F(SubprocessTest, NodeAnswers) {
    write("hello/index.js",
          "let s = ''; process.stdin.on('data', d => s += d).on('end', () => { const r = JSON.parse(s);\n"
          "process.stdout.write(JSON.stringify({success: true, output: {greeting: 'Hello, ' + r.input.name}})) })\n");
    EXPECT_EQ(output("hello", R"({"name":"Ada"})"), R"({"greeting":"Hello, Ada"})");
}

TEST_F(SubprocessTest, TheRequestIsWhatTheProtocolSays) {
    shell("show", "printf '{\"success\":true,\"output\":'; cat; printf '}'", "env: {KEY: v}\nrequest_extras: [function]\n");
    const auto text = output("show", "{ \"n\" : 1e400, \"big\": 9007199254740993 }");
    EXPECT_THAT(text, HasSubstr(R"("function_name":"show","input":{"n":1e400,"big":9007199254740993},"context":{"auth":null,"env":{"KEY":"v"},"alyx_url":"http://localhost:8080","internal_token":")"));
    EXPECT_THAT(text, HasSubstr(R"(},"function":"show"})"));
}

TEST_F(SubprocessTest, TheEnvironmentIsCleanAndNamesTheCall) {
    shell("show", "env -0 | tr '\\0' '|' | sed 's/^/{\"success\":true,\"output\":\"/; s/$/\"}/'", "env: {KEY: v}\nargs: [a b]\n");
    const auto text = output("show");
    for (const char* part : {"ALYX_FUNCTION_NAME=show|", "ALYX_RUNTIME=exec|", "ALYX_TRIGGER=http|", "ALYX_ENTRYPOINT=handler|", "ALYX_PROTOCOL=1|", "KEY=v|", "ALYX_TIMEOUT_MS=30000|"}) EXPECT_THAT(text, HasSubstr(part));
    EXPECT_THAT(text, ::testing::Not(HasSubstr("SECRET_OF_THE_HOST")));
    EXPECT_THAT(text, HasSubstr("PWD=" + fs::canonical(root_ / "show").string() + "|"));
}

TEST_F(SubprocessTest, ArgumentsOfTheManifestFollowTheEntry) {
    shell("args", "printf '{\"success\":true,\"output\":\"%s,%s,%s\"}' $# \"$1\" \"$2\"", "args: [a b, --c]\n");
    EXPECT_EQ(output("args"), "\"2,a b,--c\"");
}

TEST_F(SubprocessTest, EveryOutcomeHasItsCode) {
    shell("exits", "echo why >&2; exit 7");
    shell("contradicts", "echo '{\"success\":true}'; exit 3");
    shell("fails", "echo '{\"success\":false,\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"no such thing\"}}'; exit 4");
    shell("dies", "kill -SEGV $$");
    shell("talks", "echo Hello world");
    shell("silent", "exit 0");
    shell("slow", "sleep 1000", "timeout: 100ms\nkill_grace: 0s\n");
    shell("floods", "cat /dev/zero", "limits: {output: 100kb}\n");
    shell("burns", "while :; do :; done", "timeout: 15m\nlimits: {cpu: 1}\n");  // a busy machine may take long for one second of it
    write("python/index.py", "raise SystemExit(9)");

    const auto exits = call("exits");
    EXPECT_EQ(code(exits), "exit_nonzero");
    EXPECT_EQ(exits.details, "{\"exit_code\":7}");
    EXPECT_EQ(exits.error->exit_status(), 7);
    EXPECT_EQ(exits.error->origin(), Origin::guest);
    EXPECT_EQ(exits.error->message().find("why"), std::string::npos);
    EXPECT_THAT(logged_, HasSubstr("why"));
    EXPECT_EQ(code(call("contradicts")), "exit_nonzero");
    const auto fails = call("fails");
    EXPECT_EQ(code(fails), "not_found");
    EXPECT_EQ(fails.guest_code, "NOT_FOUND");
    EXPECT_EQ(fails.details, "{\"exit_code\":4}");
    EXPECT_EQ(fails.error->origin(), Origin::guest);
    const auto dies = call("dies");
    EXPECT_EQ(code(dies), "signaled");
    EXPECT_EQ(dies.details, "{\"signal\":\"SIGSEGV\"}");
    const auto talks = call("talks");
    EXPECT_EQ(code(talks), "bad_output");
    EXPECT_THAT(talks.details, HasSubstr("\"reason\":\"not_json\""));
    EXPECT_EQ(talks.error->message().find("Hello"), std::string::npos);
    EXPECT_THAT(call("silent").details, HasSubstr("\"reason\":\"empty\""));
    const auto slow = call("slow");
    EXPECT_EQ(code(slow), "timeout");
    EXPECT_EQ(slow.error->message(), "function \"slow\" exceeded its time limit of 100ms");
    EXPECT_EQ(code(call("floods")), "output_too_large");
    EXPECT_EQ(code(call("burns")), "cpu_limit");
    EXPECT_EQ(call("python").exit->status, 9);
}

TEST_F(SubprocessTest, WithOutputShownTheMessageSaysWhatWasSeen) {
    MetricRegistry metrics;
    options_.metrics = &metrics;
    options_.show_output = true;
    shell("talks", "echo Hello world");
    shell("exits", "echo the reason >&2; exit 1");
    EXPECT_THAT(call("talks").error->message(), HasSubstr("stdout is not JSON: line 1 starts with \"Hello wor\""));
    EXPECT_THAT(call("exits").error->message(), HasSubstr("exited with code 1: the reason"));
    EXPECT_THAT(metrics.prometheus_text(), HasSubstr("berth_process_bytes_total{direction=\"out\"} 12"));
    sync_wait(engine_->close(0ms));
    engine_.reset();
}

TEST_F(SubprocessTest, BadInputNeverStartsAProcess) {
    shell("marks", "touch ran; echo '{\"success\":true}'", "limits: {input: 100kb}\n");
    EXPECT_EQ(code(call("marks", "[1]")), "bad_input");
    EXPECT_EQ(call("marks", "{").details.substr(0, 18), "{\"reason\":\"syntax\"");
    EXPECT_EQ(code(call("marks", "{\"a\":\"" + std::string(100 * 1024, 'x') + "\"}")), "payload_too_large");
    EXPECT_FALSE(fs::exists(root_ / "marks/ran"));
    EXPECT_EQ(code(call("marks")), "ok");
    EXPECT_TRUE(fs::exists(root_ / "marks/ran"));
}

TEST_F(SubprocessTest, AMissingRuntimeNamesTheWayToGetIt) {
    write("hello/index.py", "");
    options_.environment["PATH"] = (root_ / "bin").string() + "::relative";
    start();
    EXPECT_EQ(function("hello")->state, FunctionState::runtime_missing);
    const auto outcome = call("hello");
    EXPECT_EQ(code(outcome), "runtime_not_found");
    EXPECT_THAT(outcome.error->message(), HasSubstr("function \"hello\" needs runtime \"python\": command \"python3\" not found in PATH"));
    EXPECT_THAT(outcome.error->fix(), HasSubstr("apt-get install python3"));
    EXPECT_THAT(outcome.details, HasSubstr("\"command\":\"python3\""));
}

TEST_F(SubprocessTest, AShimIsAskedForTheRealInterpreter) {
    write("hello/index.py", "import json, os, sys\nsys.stdin.read()\nprint(json.dumps({'success': True, 'output': os.path.basename(sys.argv[0])}))\n");
    write("bin/python3", "#!/bin/sh\necho x >> '" + (root_ / "asked").string() + "'\nexec /usr/bin/python3 \"$@\"\n", true);
    if (!fs::exists("/usr/bin/python3")) GTEST_SKIP() << "needs /usr/bin/python3";
    options_.environment["PATH"] = (root_ / "bin").string() + ":/usr/bin:/bin";
    EXPECT_EQ(output("hello"), "\"index.py\"");
    EXPECT_EQ(output("hello"), "\"index.py\"");
    std::ifstream asked(root_ / "asked");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(asked), {}), "x\n");
}

TEST_F(SubprocessTest, AVanishedEntryOrInterpreterIsNamed) {
    shell("gone", "exit 0");
    write("odd/handler", "#!/nothing/here\n", true);
    start();
    fs::remove(root_ / "gone/handler");
    EXPECT_EQ(code(call("gone")), "entry_not_found");
    EXPECT_EQ(code(call("odd")), "runtime_not_found");
    fs::remove_all(root_ / "gone");
    EXPECT_EQ(code(call("gone")), "entry_not_found");
}

// An embedding program keeps its own children: their statuses are its own, and so is what it does when one ends.
TEST_F(SubprocessTest, ChildrenOfTheProgramAroundItAreLeftAlone) {
    static std::atomic<int> told;
    told = 0;
    struct sigaction mine{}, before{};
    mine.sa_handler = [](int) { told.fetch_add(1, std::memory_order_relaxed); };
    mine.sa_flags = SA_RESTART;
    ASSERT_EQ(::sigaction(SIGCHLD, &mine, &before), 0);
    shell("answer", "cat >/dev/null; echo '{\"success\":true,\"output\":1}'");
    shell("exit", "exit 3");
    for (int i = 0; i < 100; ++i) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(i % 100 + 1);
        ASSERT_GT(child, 0);
        const auto outcome = call(i % 2 == 0 ? "answer" : "exit");
        EXPECT_EQ(code(outcome), i % 2 == 0 ? "ok" : "exit_nonzero");
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child) << "its status was taken";
        ASSERT_TRUE(WIFEXITED(status));
        EXPECT_EQ(WEXITSTATUS(status), i % 100 + 1);
    }
    EXPECT_GE(told.load(), 1);
    struct sigaction now{};
    ::sigaction(SIGCHLD, &before, &now);
    EXPECT_EQ(now.sa_handler, mine.sa_handler);
}

TEST_F(SubprocessTest, CancellingAndClosingEndWhatRuns) {
    shell("slow", "sleep 1000", "kill_grace: 0s\n");
    CancelSource source;
    source.cancel(CancelCause::client_gone);
    const auto gone = call("slow", "{}", [&](Call& call) { call.cancel = source.token(); });
    EXPECT_EQ(code(gone), "cancelled");
    TaskScope scope;
    Outcome closed;
    const auto found = function("slow");
    scope.spawn(reactors_->at(0), [](SubprocessEngine& engine, FunctionRef function, Outcome& out) -> Task<void> {
        Call call;
        call.id = new_call_id();
        call.request_id = call.id;
        out = co_await engine.call(function, call);
    }(*engine_, found, closed));
    sync_wait(run_on(reactors_->at(0), engine_->close(0ms)));
    sync_wait(scope.join());
    EXPECT_EQ(code(closed), "shutting_down");
    EXPECT_EQ(code(call("slow")), "shutting_down");
}

TEST_F(SubprocessTest, RevokingWhatAProcessWasStartedWithEndsItsCall) {
    shell("waits", "touch started; exec sleep 600", "kill_grace: 0s\n");
    start();
    MetricRegistry metrics;
    Runtime runtime({.clock = clock_, .metrics = metrics, .reactors = reactors_.get()}, {engine_.get()});
    Outcome outcome;
    TaskScope scope;
    Call made;
    made.id = "the-call";
    made.function = "waits";
    scope.spawn(reactors_->at(0), [](Runtime& runtime, Call call, Outcome& outcome) -> Task<void> { outcome = co_await runtime.call(std::move(call)); }(runtime, std::move(made), outcome));
    sync_wait([](Reactor& reactor, fs::path mark) -> Task<void> {
        co_await reactor.enter();
        while (!fs::exists(mark)) co_await reactor.yield();
    }(reactors_->at(0), root_.path() / "waits" / "started"));
    EXPECT_FALSE(*runtime.revoke("the-call", Capability::dag_write));
    EXPECT_TRUE(*runtime.revoke("the-call", Capability::net_connect));
    sync_wait(scope.join());
    EXPECT_EQ(code(outcome), "capability_denied");
    EXPECT_THAT(outcome.error->message(), HasSubstr("net.connect was revoked"));
    EXPECT_THAT(metrics.prometheus_text(), HasSubstr("berth_revocations_total{capability=\"net.connect\"} 1\n"));
}

TEST_F(SubprocessTest, ADeadlineThatHasPassedEndsTheCall) {
    shell("slow", "sleep 1000", "kill_grace: 0s\n");
    EXPECT_EQ(code(call("slow", "{}", [](Call& call) { call.deadline = std::chrono::steady_clock::now(); })), "timeout");
}

TEST_F(SubprocessTest, NoMoreTreesThanPlacesAndCallsWaitInLine) {
    // Two at once would see each other's file.
    shell("alone", "if [ -e busy ]; then echo '{\"success\":true,\"output\":\"two\"}'; exit; fi; touch busy; read line; rm busy; echo '{\"success\":true,\"output\":\"one\"}'");
    function("alone");
    MetricRegistry metrics;
    const SystemClock clock;
    Runtime runtime({.clock = clock, .metrics = metrics, .bounds = [](EngineKind) { return CallBounds{.running = 1, .waiting = 1, .wait = 1h}; }}, {engine_.get()});
    TaskScope scope;
    std::vector<Outcome> outcomes(3);
    for (auto& outcome : outcomes) {
        scope.spawn(reactors_->at(0), [](Runtime& runtime, Outcome& out) -> Task<void> {
            Call call;
            call.function = "alone";
            out = co_await runtime.call(std::move(call));
        }(runtime, outcome));
    }
    sync_wait(scope.join());
    std::vector<std::string> results;
    for (const auto& outcome : outcomes) results.push_back(outcome.error ? code(outcome) : outcome.output.bytes);
    EXPECT_THAT(results, ::testing::UnorderedElementsAre("\"one\"", "\"one\"", "queue_full"));
}

TEST_F(SubprocessTest, StatusesAndSignalsAreThePrograms) {
    shell("exits", "line=$(cat); n=${line#*\\\"n\\\":}; exit ${n%%\\}*}");
    shell("dies", "line=$(cat); n=${line#*\\\"n\\\":}; kill -${n%%\\}*} $$");
    shell("slow", "exec sleep 1000", "timeout: 100ms\nkill_grace: 0s\n");
    for (const int status : {1, 7, 64, 77, 124, 137, 255}) {
        const auto outcome = call("exits", format("{{\"n\":{}}}", status));
        EXPECT_EQ(code(outcome), "exit_nonzero") << status;
        EXPECT_EQ(outcome.error->exit_status(), status);
        EXPECT_EQ(outcome.error->origin(), Origin::guest) << status;
        EXPECT_EQ(outcome.exit->status, status);
    }
    EXPECT_EQ(code(call("exits", "{\"n\":0}")), "bad_output");  // it has said nothing
    for (const int signal : {SIGABRT, SIGKILL, SIGSEGV}) {
        const auto outcome = call("dies", format("{{\"n\":{}}}", signal));
        EXPECT_EQ(code(outcome), "signaled") << signal;
        EXPECT_EQ(outcome.error->exit_status(), 128 + signal);
        EXPECT_EQ(outcome.error->origin(), Origin::guest) << signal;
        EXPECT_EQ(outcome.exit->signal, signal);
    }
    // The same number from the host has another origin.
    const auto late = call("slow");
    EXPECT_EQ(late.error->exit_status(), 124);
    EXPECT_EQ(late.error->origin(), Origin::host);
}

TEST_F(SubprocessTest, ASecretTakesThePlaceOfAVariableOfItsName) {
    options_.development = true;
    options_.secret = [](std::string_view) { return std::string("of the secret"); };
    shell("show", "printf '{\"success\":true,\"output\":'; cat; printf '}'", "env: {KEY: of the manifest, OTHER: x}\nsecrets: [KEY]\n");
    EXPECT_THAT(output("show"), HasSubstr(R"("env":{"OTHER":"x","KEY":"of the secret"})"));
}

TEST_F(SubprocessTest, AFunctionsOwnCodeIsNotTakenForTheHosts) {
    shell("claims", "echo '{\"success\":false,\"error\":{\"code\":\"EXIT_NONZERO\",\"message\":\"mine\",\"details\":{\"a\":1}}}'; exit 3");
    const auto outcome = call("claims");
    EXPECT_EQ(outcome.guest_code, "EXIT_NONZERO");
    EXPECT_EQ(outcome.details, "{\"a\":1}");
    EXPECT_EQ(outcome.exit->status, 3);
    EXPECT_GT(outcome.exit->resident, 0U);
}

TEST_F(SubprocessTest, ATimeOutSaysWhoseItWasAndWhatHadBeenWritten) {
    shell("slow", "printf 'the beginning'; exec sleep 1000", "kill_grace: 0s\n");
    start();
    const auto early = call("slow", "{}", [](Call& call) { call.deadline = std::chrono::steady_clock::now() + 1ms; });
    EXPECT_EQ(code(early), "timeout");
    EXPECT_THAT(early.error->message(), HasSubstr("its caller's deadline"));
    EXPECT_THAT(early.details, HasSubstr("\"timeout_ms\":"));
    // Its limit is the time in which it has written: however slow the machine is, a longer one lets it.
    for (auto limit = 250ms; limit < 200s; limit *= 4) {
        write("limited/handler", "#!/bin/sh\nprintf '{\"success\":true,\"logs\":[{\"level\":\"info\",\"message\":\"said\"}]}'; exec sleep 1000\n", true);
        write("limited/manifest.yaml", format("timeout: {}ms\nkill_grace: 0s\n", limit.count()));
        sync_wait(engine_->close(0ms));
        start();
        const auto late = call("limited");
        EXPECT_EQ(code(late), "timeout");
        EXPECT_EQ(late.details, format("{{\"timeout_ms\":{}}}", limit.count()));
        EXPECT_TRUE(late.output.empty()) << "what it wrote is no output";
        if (late.captured.empty()) continue;
        EXPECT_THAT(late.captured, HasSubstr("\"stdout_excerpt\":\"{\\\"success\\\":true"));
        ASSERT_EQ(late.logs.size(), 1U);
        EXPECT_EQ(late.logs[0].message, "said");
        return;
    }
    ADD_FAILURE() << "it wrote nothing";
}

// What ended at a limit ends in the same way when it is played again, and nothing is started for it.
TEST_F(SubprocessTest, CallsThatALimitEndedAreReplayed) {
    MetricRegistry metrics;
    options_.metrics = &metrics;
    shell("slow", "printf part; exec sleep 1000", "timeout: 100ms\nkill_grace: 0s\n");
    shell("floods", "exec cat /dev/zero", "limits: {output: 100kb}\n");
    shell("burns", "while :; do :; done", "timeout: 15m\nlimits: {cpu: 1}\n");
    shell("eats", "exec python3 -c 'import time; held = bytearray(b\"x\" * (1 << 30)); time.sleep(1000)'", "timeout: 15m\nmemory: 32mb\n");
    shell("dies", "kill -SEGV $$");
    const auto moved = [&] {  // what processes were given and gave
        const auto text = metrics.prometheus_text();
        const auto at = text.find("berth_process_bytes_total{");
        return at == std::string::npos ? std::string() : text.substr(at, text.find('#', at) - at);
    };
    for (const auto& [name, expected] : {std::pair{"slow", "timeout"}, {"floods", "output_too_large"}, {"burns", "cpu_limit"}, {"eats", "memory_limit"}, {"dies", "signaled"}}) {
        CallMode mode;
        mode.record = root_ / (std::string(name) + ".bj");
        const auto recorded = call(name, "{\"n\":1}", [&](Call& call) { call.mode = &mode; });
        EXPECT_EQ(code(recorded), expected) << name;
        const auto counted = moved();
        const auto journal = Journal::read(mode.record);
        ASSERT_TRUE(journal) << name << journal.error().message();
        CallMode again;
        again.replay = &*journal;
        const auto played = call(name, "{\"n\":1}", [&](Call& call) { call.mode = &again; });
        EXPECT_EQ(code(played), expected) << name;
        EXPECT_EQ(played.captured, recorded.captured) << name;
        const auto other = call(name, "{\"n\":2}", [&](Call& call) { call.mode = &again; });
        EXPECT_EQ(code(other), "replay_diverged") << name;
        EXPECT_EQ(moved(), counted) << name;
    }
    sync_wait(engine_->close(0ms));
    engine_.reset();
}

// Wherever a text is cut, and whatever is left out of it, no part of a secret is shown.
class SecretsAtSeams : public SubprocessTest {
protected:
    static constexpr std::string_view secret = "Q~~Q~QQ~Q~~~QQ";  // of characters that nothing else here has

    void SetUp() override {
        SubprocessTest::SetUp();
        options_.development = true;
        options_.show_output = true;
        options_.secret = [](std::string_view) { return std::string(secret); };
    }
    /// A function that writes n letters, the secret and m letters to one of its streams, as its input says, and exits.
    void writer(const std::string& name, std::string_view stream, std::string_view end, std::string_view more = "") {
        shell(name,
              std::string("line=$(cat)\nn=${line#*\\\"n\\\":}; n=${n%%,*}\nm=${line#*\\\"m\\\":}; m=${m%%\\}*}\n"
                          "a() { head -c $1 /dev/zero | tr '\\0' a; }\n"
                          "{ a $n; printf ") +
                  std::string(secret) + "; a $m; } " + std::string(stream) + "\n" + std::string(end),
              "secrets: [KEY]\n" + std::string(more));
    }
    static std::string sizes(std::size_t n, std::size_t m) { return "{\"n\":" + std::to_string(n) + ",\"m\":" + std::to_string(m) + "}"; }
    void expect_hidden(const std::string& text, const std::string& where) {
        const auto at = text.find_first_of(secret);
        EXPECT_EQ(at, std::string::npos) << where << ": " << text.substr(at == std::string::npos ? 0 : at > 40 ? at - 40 : 0, 100);
    }
    void expect_all_hidden(const Outcome& outcome, const std::string& where) {
        ASSERT_TRUE(outcome.error) << where;
        expect_hidden(outcome.captured, where + ", captured");
        expect_hidden(outcome.error->message(), where + ", message");
        expect_hidden(outcome.details, where + ", details");
        for (const auto& one : outcome.trail) expect_hidden(one.entry.message + one.entry.data, where + ", trail");
        expect_hidden(logged_, where + ", log");
    }
};

TEST_F(SecretsAtSeams, OfExcerpts) {
    writer("out", "", "");
    writer("error", ">&2", "exit 1");
    for (std::size_t before = 0; before <= secret.size(); ++before) {
        for (const auto* name : {"out", "error"}) {
            const auto head = call(name, sizes(2048 - before, 9000));
            expect_all_hidden(head, format("head of {}, {}", name, before));
            EXPECT_THAT(head.captured, HasSubstr(" bytes … "));
            expect_all_hidden(call(name, sizes(9000, 2048 - before)), format("tail of {}, {}", name, before));
            expect_all_hidden(call(name, sizes(512 - before, 9)), format("last line of {}, {}", name, before));
        }
    }
    // Where nothing is cut it is there, by its name.
    EXPECT_THAT(call("out", sizes(10, 10)).captured, HasSubstr("aaaaaaaaaa[redacted:KEY]aaaaaaaaaa"));
    EXPECT_THAT(call("error", sizes(10, 10)).error->message(), HasSubstr("aaaaaaaaaa[redacted:KEY]aaaaaaaaaa"));
    EXPECT_THAT(call("out", sizes(0, 10)).error->message(), HasSubstr("starts with \"[redacted:KEY]\""));
}

TEST_F(SecretsAtSeams, OfWhatIsKept) {
    writer("error", ">&2", "exit 1", "limits: {stderr: 8kb}\n");
    for (const bool all : {false, true}) {
        options_.capture_all = all;
        start();
        for (std::size_t before = 0; before <= secret.size(); ++before) {
            const auto head = call("error", sizes(4096 - before, 9000));
            expect_all_hidden(head, format("head, {}", before));
            EXPECT_THAT(head.captured, HasSubstr(" bytes … "));
            expect_all_hidden(call("error", sizes(9000, 4096 - before)), format("tail, {}", before));
        }
        sync_wait(engine_->close(0ms));
        engine_.reset();
    }
}

TEST_F(SecretsAtSeams, OfLongLinesAndMessages) {
    writer("error", ">&2", "exit 1");
    shell("fails", std::string("printf '{\"success\":false,\"error\":{\"code\":\"C\",\"message\":\"'; head -c 65530 /dev/zero | tr '\\0' a; printf ") + std::string(secret) +
                       "; printf '\"},\"logs\":[{\"level\":\"info\",\"message\":\"'; head -c 65530 /dev/zero | tr '\\0' a; printf " + std::string(secret) + "; printf '\"}]}'",
          "secrets: [KEY]\n");
    for (const std::size_t before : {std::size_t{0}, std::size_t{1}, secret.size() - 1, secret.size()}) expect_all_hidden(call("error", sizes(65536 - before, 100'000)), format("line, {}", before));
    const auto fails = call("fails");
    expect_all_hidden(fails, "message");
    ASSERT_EQ(fails.logs.size(), 1U);
    expect_hidden(fails.logs[0].message, "log entry");
}

TEST_F(SubprocessTest, DetailsStayJsonWhenASecretIsANumber) {
    options_.development = true;
    options_.secret = [](std::string_view) { return std::string("73196482"); };
    shell("fails", "echo '{\"success\":false,\"error\":{\"code\":\"C\",\"message\":\"m\",\"details\":{\"n\":73196482,\"t\":\"x\"}},\"logs\":[{\"level\":\"info\",\"message\":\"l\",\"data\":{\"n\":[73196482]}}]}'", "secrets: [PIN]\n");
    const auto outcome = call("fails");
    for (const auto& text : {outcome.details, outcome.logs.at(0).data}) {
        EXPECT_TRUE(check_json(text)) << text;
        EXPECT_THAT(text, HasSubstr("[redacted:PIN]"));
        EXPECT_THAT(text, ::testing::Not(HasSubstr("73196482")));
    }
}

TEST(FindOnPath, SkipsEmptyAndRelativeElements) {
    EXPECT_EQ(find_on_path("sh", "::.:bin:/nothing:/bin"), "/bin/sh");
    EXPECT_EQ(find_on_path("sh", ""), "");
    EXPECT_EQ(find_on_path("sh", ":relative:"), "");
}

}  // namespace
}  // namespace berth
