#include "berth/runtime/runtime.hpp"

#include <gmock/gmock.h>

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/base/format.hpp"

namespace berth {
namespace {

/// Answers with its input after waiting in the loop for a release, and counts how many it runs.
class EchoEngine final : public Engine {
public:
    explicit EchoEngine(std::vector<Function> functions) {
        for (auto& function : functions) list_.push_back(std::make_shared<Function>(std::move(function)));
    }
    std::vector<FunctionRef> list() const override { return list_; }
    Task<Outcome> call(FunctionRef function, Call& call) override {
        started.push_back(call.input.bytes);
        const auto slot = std::move(call.slot);
        while (hold && !call.cancel.requested()) co_await Reactor::current()->yield();
        Outcome outcome;
        if (function->name == "fails") outcome.error = Error(Code::internal, "it failed");
        outcome.output.bytes = call.input.bytes;
        outcome.usage.fuel = 7;
        outcome.logs.push_back({"info", "said", "", ""});
        co_return outcome;
    }
    Task<void> close(std::chrono::milliseconds) override { co_return; }

    std::vector<std::string> started;  // touched in one loop only
    std::atomic<bool> hold{false};

private:
    std::vector<FunctionRef> list_;
};

class Steps final : public CallObserver {
public:
    void step(CallStep step, const Call& call, const Outcome* outcome) override {
        seen.push_back(format("{} {}{}", name(step), call.function, outcome == nullptr || !outcome->error ? "" : format(" {}", name(outcome->error->code()))));
    }
    std::vector<std::string> seen;
};

class RuntimeTest : public testing::Test {
protected:
    Call call(std::string function, std::string input = "1") {
        Call call;
        call.function = std::move(function);
        call.input.bytes = std::move(input);
        return call;
    }

    SystemClock clock_;
    MetricRegistry metrics_;
    Steps steps_;
};

Limits one_at_a_time() {
    Limits limits;
    limits.set(Limit::concurrency, 1).set(Limit::queue, 1);
    return limits;
}

TEST_F(RuntimeTest, EachCallHasEachStepOnceAndInOrder) {
    EchoEngine engine({{.name = "echo"}, {.name = "fails"}});
    Runtime runtime({.clock = clock_, .metrics = metrics_, .observer = &steps_}, {&engine});
    EXPECT_FALSE(sync_wait(runtime.call(call("echo"))).error);
    EXPECT_TRUE(sync_wait(runtime.call(call("fails"))).error);
    EXPECT_EQ(sync_wait(runtime.call(call("ecko"))).error->code(), Code::not_found);
    EXPECT_THAT(steps_.seen, testing::ElementsAre("received echo", "admitted echo", "started echo", "finished echo", "cleaned echo", "received fails", "admitted fails", "started fails",
                                                  "finished fails internal", "cleaned fails internal", "received ecko", "finished ecko not_found", "cleaned ecko not_found"));
}

TEST_F(RuntimeTest, CallsAreCountedByFunctionAndOutcome) {
    EchoEngine engine({{.name = "echo"}, {.name = "fails"}});
    Runtime runtime({.clock = clock_, .metrics = metrics_}, {&engine});
    for (int i = 0; i < 3; ++i) sync_wait(runtime.call(call("echo")));
    sync_wait(runtime.call(call("fails")));
    sync_wait(runtime.call(call("nobody")));
    const auto text = metrics_.prometheus_text();
    EXPECT_THAT(text, testing::HasSubstr("berth_calls_total{function=\"echo\",engine=\"wasm\",outcome=\"ok\"} 3\n"));
    EXPECT_THAT(text, testing::HasSubstr("berth_calls_total{function=\"fails\",engine=\"wasm\",outcome=\"internal\"} 1\n"));
    EXPECT_THAT(text, testing::HasSubstr("berth_calls_total{function=\"_unknown\",engine=\"none\",outcome=\"not_found\"} 1\n"));
    EXPECT_THAT(text, testing::HasSubstr("berth_call_fuel_total{function=\"echo\"} 21\n"));
    EXPECT_THAT(text, testing::HasSubstr("berth_calls_in_flight{function=\"echo\"} 0\n"));
}

TEST_F(RuntimeTest, CallsBeyondAFunctionsConcurrencyWaitAndThenAreRefused) {
    const auto reactors = Reactors::start(1);
    EchoEngine engine({{.name = "narrow", .limits = one_at_a_time()}});
    Runtime runtime({.clock = clock_, .metrics = metrics_, .reactors = reactors.get()}, {&engine});
    engine.hold = true;
    std::vector<Outcome> outcomes(3);
    TaskScope scope;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        scope.spawn(reactors->at(0), [](Runtime& runtime, Call call, Outcome& outcome) -> Task<void> { outcome = co_await runtime.call(std::move(call)); }(runtime, call("narrow", std::to_string(i)), outcomes[i]));
    }
    // The third is refused while the first still runs.
    sync_wait([](Reactor& reactor, const std::vector<Outcome>& outcomes) -> Task<void> {
        co_await reactor.enter();
        while (!outcomes[2].error) co_await reactor.yield();
    }(reactors->at(0), outcomes));
    EXPECT_EQ(outcomes[2].error->code(), Code::concurrency_limit);
    EXPECT_THAT(metrics_.prometheus_text(), testing::HasSubstr("berth_calls_queued{function=\"narrow\"} 1\n"));
    engine.hold = false;
    sync_wait(scope.join());
    EXPECT_FALSE(outcomes[0].error);
    EXPECT_FALSE(outcomes[1].error);
    EXPECT_THAT(engine.started, testing::ElementsAre("0", "1"));
}

TEST_F(RuntimeTest, CallsAreListedAndCancelledWhileTheyWaitAndWhileTheyRun) {
    const auto reactors = Reactors::start(1);
    EchoEngine engine({{.name = "narrow", .limits = one_at_a_time()}});
    Runtime runtime({.clock = clock_, .metrics = metrics_, .reactors = reactors.get()}, {&engine});
    engine.hold = true;
    std::vector<Outcome> outcomes(2);
    TaskScope scope;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        auto each = call("narrow");
        each.id = format("call-{}", i);
        scope.spawn(reactors->at(0), [](Runtime& runtime, Call call, Outcome& outcome) -> Task<void> { outcome = co_await runtime.call(std::move(call)); }(runtime, std::move(each), outcomes[i]));
    }
    sync_wait([](Reactor& reactor, const Runtime& runtime) -> Task<void> {
        co_await reactor.enter();
        while (runtime.running().size() != 2) co_await reactor.yield();
    }(reactors->at(0), runtime));
    const auto running = runtime.running();
    EXPECT_EQ(running[0].id, "call-0");
    EXPECT_EQ(running[1].id, "call-1");
    EXPECT_EQ(running[1].function->name, "narrow");
    EXPECT_EQ(running[1].state, RunningState::waiting);
    EXPECT_EQ(runtime.cancel("call-2").error().code(), Code::not_found);
    EXPECT_EQ(runtime.revoke("call-2", Capability::time_now).error().code(), Code::not_found);
    EXPECT_TRUE(runtime.cancel("call-1"));
    sync_wait([](Reactor& reactor, const std::vector<Outcome>& outcomes) -> Task<void> {
        co_await reactor.enter();
        while (!outcomes[1].error) co_await reactor.yield();
    }(reactors->at(0), outcomes));
    EXPECT_EQ(outcomes[1].error->code(), Code::cancelled);
    engine.hold = false;
    sync_wait(scope.join());
    EXPECT_FALSE(outcomes[0].error);
    EXPECT_TRUE(runtime.running().empty());
    EXPECT_EQ(runtime.cancel("call-0").error().code(), Code::not_found);
}

TEST_F(RuntimeTest, CallsGetASpanOfTheirOwnBelowTheCallers) {
    class Seen final : public CallObserver {
    public:
        void step(CallStep step, const Call& call, const Outcome*) override { steps.push_back(format("{} {} {}", name(step), call.parent_span, call.trace_parent)); }
        std::vector<std::string> steps;
    } seen;
    EchoEngine engine({{.name = "echo"}});
    Runtime runtime({.clock = clock_, .metrics = metrics_, .spans = &seen}, {&engine});
    auto traced = call("echo");
    traced.trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    sync_wait(runtime.call(std::move(traced)));
    ASSERT_EQ(seen.steps.size(), 5u);
    for (const auto& step : seen.steps) {
        EXPECT_THAT(step, testing::ContainsRegex("^[a-z]+ b7ad6b7169203331 00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$"));
        EXPECT_THAT(step, testing::Not(testing::HasSubstr("9c-b7ad")));
    }
    sync_wait(runtime.call(call("echo")));
    EXPECT_THAT(seen.steps.back(), testing::ContainsRegex("^cleaned  00-[0-9a-f]{32}-[0-9a-f]{16}-01$"));
}

TEST_F(RuntimeTest, ReceiptsThatNobodyWritesAreRefused) {
    EchoEngine engine({{.name = "echo"}});
    Runtime runtime({.clock = clock_, .metrics = metrics_}, {&engine});
    auto wanted = call("echo");
    wanted.receipt = true;
    const auto outcome = sync_wait(runtime.call(std::move(wanted)));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code(), Code::config_error);
    EXPECT_TRUE(engine.started.empty());
}

TEST_F(RuntimeTest, WhatCannotStartIsRefusedBeforeItsEngineSeesIt) {
    EchoEngine engine({{.name = "echo"}, {.name = "off", .state = FunctionState::disabled}});
    Runtime runtime({.clock = clock_, .metrics = metrics_}, {&engine});
    auto late = call("echo");
    late.deadline = std::chrono::steady_clock::now();
    EXPECT_EQ(sync_wait(runtime.call(std::move(late))).error->code(), Code::timeout);
    auto deep = call("echo");
    deep.depth = 65;
    EXPECT_EQ(sync_wait(runtime.call(std::move(deep))).error->code(), Code::call_depth);
    CancelSource source;
    source.cancel();
    auto cancelled = call("echo");
    cancelled.cancel = source.token();
    EXPECT_EQ(sync_wait(runtime.call(std::move(cancelled))).error->code(), Code::cancelled);
    EXPECT_EQ(sync_wait(runtime.call(call("off"))).error->code(), Code::not_found);
    sync_wait(runtime.close(std::chrono::milliseconds(0)));
    EXPECT_EQ(sync_wait(runtime.call(call("echo"))).error->code(), Code::shutting_down);
    EXPECT_TRUE(engine.started.empty());
}

}  // namespace
}  // namespace berth
