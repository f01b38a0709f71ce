// Instances of components that handle one request behind the other: what stays, what is each call's own, and when they go.
#include <gmock/gmock.h>

#include <thread>

#include "berth/app/application.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/host/earlier_calls.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/component_gate.hpp"
#include "berth/runtime/wasm_functions.hpp"
#include "berth/runtime/wasm_instance.hpp"
#include "support/source_dir.hpp"
#include "support/temp_dir.hpp"
#include "support/test_application.hpp"

namespace berth {
namespace {

class KeptComponents : public ::testing::Test {
protected:
    KeptComponents() {
        PolicyRequest request;
        request.allow = {"random"};
        load(request);
    }

    void load(const PolicyRequest& request) {
        auto loaded = application_->load(guest_, "count", request, no_progress());
        EXPECT_TRUE(loaded) << loaded.error().full_message();
        use(std::move(*loaded));
    }

    FunctionRef function(std::string name) const { return std::make_shared<Function>(Function{.name = std::move(name), .world = "component", .limits = program_->limits()}); }

    void use(std::shared_ptr<const WasmProgram> program) {
        program_ = std::move(program);
        count_ = function("count");
        other_ = function("other");
        functions_ = std::make_unique<WasmFunctions>(test::host_of(*application_), std::vector<WasmFunctions::Served>{{.function = count_, .program = program_, .entry = {}, .arguments = {}, .pooled = 3},
                                                                                                                       {.function = other_, .program = program_, .entry = {}, .arguments = {}, .pooled = 3}});
    }

    std::unique_ptr<WasmInstance> open() {
        auto opened = WasmInstance::open(program_, application_->clock(), application_->random(), application_->network(), application_->environment());
        EXPECT_TRUE(opened);
        return std::move(*opened);
    }

    /// With `field` in the request; into an instance of the function's own, unless one is named.
    Outcome call(const FunctionRef& function, std::string field = {}, WasmInstance* instance = nullptr, const CallMode* mode = nullptr, CancelToken cancel = {}) {
        Call call;
        call.id = call.request_id = "call";
        call.function = function->name;
        CallRequest request{.method = "GET", .authority = "localhost", .target = "/"};
        if (!field.empty()) request.fields.emplace_back(std::move(field), "1");
        call.request = std::make_shared<const CallRequest>(std::move(request));
        call.instance = instance;
        call.mode = mode;
        call.cancel = cancel;
        return sync_wait(functions_->call(function, call));
    }

    /// The count that it answers.
    char counted(const FunctionRef& function, std::string field = {}) {
        const auto outcome = call(function, std::move(field));
        return outcome.error || outcome.output.bytes.empty() ? '-' : outcome.output.bytes.front();
    }

    std::filesystem::path file(const std::string& name) const { return folder_ / (name + ".bj"); }

    Outcome recorded(WasmInstance& instance, const std::string& name, std::string field = {}) {
        CallMode mode;
        mode.record = file(name);
        return call(count_, std::move(field), &instance, &mode);
    }

    testing::TempDir folder_;
    std::filesystem::path guest_ = testing::source_dir() / "tests/components/count_http.wat";
    std::unique_ptr<Application> application_ = test::test_application();
    std::shared_ptr<const WasmProgram> program_;
    FunctionRef count_;
    FunctionRef other_;
    std::unique_ptr<WasmFunctions> functions_;
};

TEST_F(KeptComponents, ServeSoManyCallsOfOneFunction) {
    for (const char expected : {'1', '2', '3', '1'}) EXPECT_EQ(counted(count_), expected);
    EXPECT_EQ(counted(other_), '1');
    EXPECT_EQ(counted(count_), '2');
}

TEST_F(KeptComponents, GoAfterACallThatFailed) {
    for (const auto* fault : {"trap", "open"}) {
        EXPECT_EQ(counted(count_), '1') << fault;
        counted(count_, fault);
    }
    EXPECT_EQ(counted(count_), '1');
    EXPECT_EQ(counted(count_, "leak"), '2');
    EXPECT_EQ(counted(count_), '1');
}

TEST_F(KeptComponents, GoAfterACancellation) {
    const auto instance = open();
    EXPECT_EQ(call(count_, {}, instance.get()).output.bytes.front(), '1');
    CancelSource cancel;
    std::jthread canceller([&] { cancel.cancel(); });
    EXPECT_EQ(call(count_, "spin", instance.get(), nullptr, cancel.token()).error->code(), Code::cancelled);
    EXPECT_TRUE(instance->closed());
    EXPECT_EQ(call(count_, {}, instance.get()).error->code(), Code::instance_terminated);
}

TEST_F(KeptComponents, EachCallCountsItsOwn) {
    const auto instance = open();
    const auto first = call(count_, {}, instance.get());
    const auto second = call(count_, {}, instance.get());
    const auto third = call(count_, {}, instance.get());
    ASSERT_FALSE(third.error) << third.error->full_message();
    EXPECT_EQ(third.response->status, 200);
    EXPECT_EQ(second.usage.fuel, third.usage.fuel);
    EXPECT_EQ(second.usage.host_calls, third.usage.host_calls);
    EXPECT_EQ(first.usage.host_calls, second.usage.host_calls + 1);  // drew its letter
    EXPECT_EQ(third.usage.bytes_out, 3u);
}

TEST_F(KeptComponents, WhatIsTakenAwayIsTakenFromTheInstance) {
    const auto instance = open();
    EXPECT_TRUE(instance->revoke(Capability::random_secure));
    EXPECT_EQ(call(count_, {}, instance.get()).error->code(), Code::capability_denied);
    EXPECT_TRUE(instance->closed());
    EXPECT_EQ(counted(count_), '1');  // others have it
}

TEST_F(KeptComponents, KeepTheDirectoriesThatTheyWereGiven) {
    PolicyRequest request;
    request.allow = {"random"};
    request.mounts = {format("data={}:rw", (folder_ / "data").string())};
    std::filesystem::create_directory(folder_ / "data");
    load(request);
    const auto instance = open();
    for (const auto* number : {"1", "2", "3"}) {
        const auto outcome = call(count_, "root", instance.get());
        ASSERT_FALSE(outcome.error) << outcome.error->full_message();
        EXPECT_EQ(outcome.output.bytes.substr(2), "0");
        EXPECT_TRUE(std::filesystem::is_directory(folder_ / "data" / number));
    }
    EXPECT_EQ(instance->objects().open.size(), 1u);
}

TEST_F(KeptComponents, AreEqualByteForByteWhereTheyAreDeterministic) {
    PolicyRequest request;
    request.allow = {"random"};
    request.deterministic = true;
    load(request);
    for (const auto* run : {"x", "y"}) {
        const auto instance = open();
        std::filesystem::create_directory(folder_ / run);
        for (const auto* name : {"1", "2", "3"}) {
            const auto outcome = recorded(*instance, std::string(run) + "/" + name);
            ASSERT_FALSE(outcome.error) << outcome.error->full_message();
        }
    }
    for (const auto* name : {"1", "2", "3"}) EXPECT_EQ(*read_file(file(std::string("x/") + name), 1 << 20), *read_file(file(std::string("y/") + name), 1 << 20)) << name;
}

TEST_F(KeptComponents, RecordedCallsReplayWithThoseBeforeThem) {
    const auto instance = open();
    std::vector<Outcome> outcomes;
    const std::vector<std::string> names{"a", "b", "c", "d"};
    for (const auto& name : names) outcomes.push_back(recorded(*instance, name, name == "b" ? "keep" : name == "c" ? "late" : name == "d" ? "trap" : ""));
    EXPECT_EQ(outcomes[2].output.bytes.substr(1), outcomes[0].output.bytes.substr(1, 1) + "E");
    EXPECT_EQ(outcomes[3].error->code(), Code::trap);
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto last = std::move(*Journal::read(file(names[i])));
        const auto earlier = EarlierCalls::find(last, file(names[i]));
        ASSERT_TRUE(earlier) << earlier.error().full_message();
        EXPECT_EQ(earlier->count(), i);
        use(std::move(*application_->load_for_replay(*read_file(guest_, 1 << 20), last.open(), no_progress())));
        const auto again = open();
        Outcome outcome;
        for (std::size_t j = 0; j <= earlier->count(); ++j) {
            const auto one = j < earlier->count() ? std::move(*earlier->read(j)) : last;
            CallMode mode;
            mode.replay = &one;
            outcome = call(count_, {}, again.get(), &mode);
        }
        EXPECT_EQ(outcome.error.has_value(), outcomes[i].error.has_value()) << names[i];
        EXPECT_EQ(outcome.output.bytes, outcomes[i].output.bytes);
        EXPECT_EQ(outcome.usage.fuel, outcomes[i].usage.fuel);
        EXPECT_EQ(outcome.usage.peak_memory, outcomes[i].usage.peak_memory);
    }
}

}  // namespace
}  // namespace berth
