#include "berth/engine/component.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/engine/call_record.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<WasmEngine> engine() {
    static const auto shared = WasmEngine::create({.engine_fuel = true, .restore = false, .components = true, .instances = 16, .memory_size = 16 << 20}).value();
    return shared;
}

Result<std::shared_ptr<Component>> component(std::string_view wat) {
    BERTH_TRY(const auto bytes, wat_to_wasm(wat));
    return Component::compile(engine(), bytes);
}

/// Answers from what a test sets, and writes down what was asked.
class FakeHost final : public ComponentHost {
public:
    Next perform(const ComponentOp& op, ComponentAnswer& answer) override {
        asked.push_back(op.function);
        if (ends) return Next::ends;
        if (op.function == denied) return Next::denied;
        if (op.function == pends) {
            answer.status = component_pending;
            return Next::proceed;
        }
        switch (op.function) {
            case ComponentFunction::monotonic_now: answer.x = now; break;
            case ComponentFunction::due: answer.status = now >= op.a ? 0 : component_pending; break;
            case ComponentFunction::secure_random: answer.bytes = "\x02......."; break;
            case ComponentFunction::request_read: answer.status = 1; break;
            case ComponentFunction::response_head:
                status = op.a;
                fields = op.bytes;
                break;
            case ComponentFunction::response_room: answer.status = std::exchange(is_full, false) ? component_pending : 0; break;
            case ComponentFunction::response_write:
                body += op.bytes;
                if (body.size() > most) return Next::ends;
                break;
            case ComponentFunction::response_end: is_whole = true; break;
            default: break;
        }
        return Next::proceed;
    }
    void wait(std::uint64_t due) override {
        ++waits;
        if (due != ~std::uint64_t{0}) now = due;
    }

    std::optional<ComponentFunction> denied;
    std::optional<ComponentFunction> pends;
    bool ends = false;
    bool is_full = false;
    std::size_t most = 1 << 20;
    std::uint64_t now = 1'000;
    std::uint64_t status = 0;
    std::string fields;
    std::string body;
    bool is_whole = false;
    int waits = 0;
    std::vector<ComponentFunction> asked;
};

/// A command whose core function `run` has this body; `imports` and `lowered` come before and into the core module.
std::string command(std::string_view body, std::string_view imports = {}, std::string_view lowered = {}, std::string_view in_core = {}) {
    return format(R"((component {0}
      (core module $m {3} (memory (export "memory") 1) (func (export "run") (result i32) {1}))
      (core instance $i (instantiate $m {2}))
      (func $run (result (result)) (canon lift (core func $i "run")))
      (instance $e (export "run" (func $run)))
      (export "wasi:cli/run@0.2.0" (instance $e))))",
                  imports, body, lowered, in_core);
}

constexpr std::string_view clock_import = R"(
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now"))))";
constexpr std::string_view with_clock = R"((with "h" (instance (export "now" (func $now)))))";
constexpr std::string_view core_clock = R"((import "h" "now" (func $now (result i64))))";

ComponentReport call(const Component& component, FakeHost& host, CallRecord* record = nullptr, std::int64_t fuel = unlimited_fuel, std::uint64_t memory = 16 << 20, OnLimit on_limit = OnLimit::fail) {
    ComponentReport report;
    component.call({.host = host, .record = record, .fuel = fuel, .on_limit = on_limit, .memory_limit = memory}, nullptr, report);
    return report;
}

TEST(Component, ACommandReturnsWithItsStatus) {
    FakeHost host;
    const auto good = component(command("i32.const 0")).value();
    EXPECT_TRUE(good->runs_command());
    EXPECT_FALSE(good->handles_http());
    auto report = call(*good, host);
    EXPECT_EQ(report.outcome, CallOutcome::returned);
    EXPECT_FALSE(report.exit_status);
    EXPECT_GT(report.fuel_used, 0u);
    EXPECT_EQ(report.peak_memory, 65536u);
    report = call(*component(command("i32.const 1")).value(), host);
    EXPECT_EQ(report.outcome, CallOutcome::returned);
    EXPECT_EQ(report.exit_status, 1);
}

TEST(Component, TrapsFuelAndMemoryEndItAsInModules) {
    FakeHost host;
    auto report = call(*component(command("unreachable")).value(), host);
    EXPECT_EQ(report.outcome, CallOutcome::trapped);
    EXPECT_EQ(report.trap, TrapCode::unreachable);
    const auto spins = component(command("(loop $l br $l) unreachable")).value();
    report = call(*spins, host, nullptr, 500'000);
    EXPECT_EQ(report.outcome, CallOutcome::out_of_fuel);
    EXPECT_EQ(report.fuel_used, 500'000u);
    // -1 from the growth becomes the status of the result: not 0.
    const auto grows = component(command("(i32.eq (memory.grow (i32.const 10)) (i32.const -1))")).value();
    EXPECT_FALSE(call(*grows, host).exit_status);
    EXPECT_EQ(call(*grows, host, nullptr, unlimited_fuel, 4 * 65536).exit_status, 1);
    EXPECT_EQ(call(*grows, host, nullptr, unlimited_fuel, 4 * 65536, OnLimit::trap).outcome, CallOutcome::memory_denied);
    report = call(*grows, host, nullptr, unlimited_fuel, 100);
    EXPECT_EQ(report.outcome, CallOutcome::not_started);
    EXPECT_EQ(report.error, Code::memory_limit);
}

TEST(Component, AStopEndsALoopAndTheNextCallWorks) {
    FakeHost host;
    const auto spins = component(command("(loop $l br $l) unreachable")).value();
    for (int i = 0; i < 20; ++i) {
        CallRecord record;
        record.arm();
        std::jthread stopper([&] { record.request_stop(StopCause::cancelled); });
        EXPECT_EQ(call(*spins, host, &record).outcome, CallOutcome::stopped);
        stopper.join();
        record.disarm();
        EXPECT_EQ(record.cause(), StopCause::cancelled);
    }
    EXPECT_EQ(call(*component(command("i32.const 0")).value(), host).outcome, CallOutcome::returned);
}

TEST(Component, AClockIsReadOnlyWithItsGrant) {
    const auto reads = component(command("(i64.ne (call $now) (i64.const 1000))", clock_import, with_clock, core_clock)).value();
    EXPECT_THAT(reads->imports(), ::testing::Contains("wasi:clocks/monotonic-clock@0.2.0"));
    FakeHost granted;
    EXPECT_FALSE(call(*reads, granted).exit_status);
    EXPECT_THAT(granted.asked, ::testing::ElementsAre(ComponentFunction::monotonic_now));
    FakeHost denied;
    denied.denied = ComponentFunction::monotonic_now;
    EXPECT_EQ(call(*reads, denied).outcome, CallOutcome::host_trapped);
    FakeHost over;
    over.ends = true;
    EXPECT_EQ(call(*reads, over).outcome, CallOutcome::host_trapped);
}

TEST(Component, ImportsThatWasiDoesNotHaveAreRefusedByName) {
    const auto unknown = component(R"((component (import "acme:shop/cart@1.0.0" (instance (export "empty" (func))))))");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code(), Code::import_unresolved);
    EXPECT_THAT(unknown.error().message(), HasSubstr("acme:shop/cart@1.0.0"));
    // Of a known interface, but with another type.
    const auto other = component(R"((component (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result string)))))))");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code(), Code::import_unresolved);
}

TEST(Component, HostileBytesAreAnError) {
    const auto text = wat_to_wasm(command("i32.const 0")).value();
    for (std::size_t size = 0; size < text.size(); ++size) {
        // Cut between two sections it is a component still: without its export, unless only names follow.
        const auto cut = Component::compile(engine(), ByteView(text).first(size));
        if (cut) {
            constexpr std::uint8_t custom_section = 0;
            EXPECT_TRUE(!(*cut)->runs_command() || text[size] == custom_section) << size;
        } else {
            EXPECT_EQ(cut.error().code(), Code::invalid_module) << size;
        }
    }
}

TEST(Component, AHandlerAnswersWithStatusFieldsAndBody) {
    std::ifstream file(testing::source_dir() / "tests/components/hello_http.wat");
    const std::string wat{std::istreambuf_iterator<char>(file), {}};
    const auto handler = component(wat).value();
    EXPECT_TRUE(handler->handles_http());
    FakeHost host;
    const GuestRequest request{.method = "GET", .authority = "example.org", .target = "/x?y=1"};
    ComponentReport report;
    handler->call({.host = host}, &request, report);
    ASSERT_EQ(report.outcome, CallOutcome::returned) << report.message;
    EXPECT_EQ(report.message, "");
    EXPECT_EQ(host.status, 200u);
    EXPECT_EQ(host.body, R"({"message":"Hello, World!"})");
    EXPECT_TRUE(host.is_whole);
    EXPECT_THAT(host.fields, HasSubstr("content-type\x10" "application/json"));
    FakeHost slow;
    slow.is_full = true;
    handler->call({.host = slow}, &request, report);
    EXPECT_EQ(slow.body, host.body);
    EXPECT_EQ(slow.waits, 1);
    FakeHost small;
    small.most = 26;
    handler->call({.host = small}, &request, report);
    EXPECT_EQ(report.outcome, CallOutcome::host_trapped);
    EXPECT_FALSE(small.is_whole);
    const GuestRequest bad{.method = "NO GOOD", .authority = "example.org", .target = "/"};
    handler->call({.host = host}, &bad, report);
    EXPECT_EQ(report.outcome, CallOutcome::not_started);
}

TEST(Component, AHandlerThatIsStoppedWhileItAnswersEndsAsStopped) {
    std::ifstream file(testing::source_dir() / "tests/components/hello_http.wat");
    const std::string wat{std::istreambuf_iterator<char>(file), {}};
    const auto handler = component(wat).value();
    /// Stops the call when the answer begins, as a client that goes away does.
    class Stopping final : public ComponentHost {
    public:
        explicit Stopping(CallRecord& record) : record_(record) {}
        Next perform(const ComponentOp& op, ComponentAnswer& answer) override {
            if (op.function == ComponentFunction::request_read) answer.status = 1;
            if (op.function == ComponentFunction::response_head) record_.request_stop(StopCause::cancelled);
            return Next::proceed;
        }
        void wait(std::uint64_t) override {}

    private:
        CallRecord& record_;
    };
    CallRecord record;
    Stopping host(record);
    record.arm();
    const GuestRequest request{.method = "GET", .authority = "example.org", .target = "/"};
    ComponentReport report;
    handler->call({.host = host, .record = &record}, &request, report);
    record.disarm();
    EXPECT_EQ(report.outcome, CallOutcome::stopped);
    EXPECT_EQ(record.cause(), StopCause::cancelled);
}

/// An instance of tests/components/count_http.wat, which stays.
class KeptComponent : public ::testing::Test {
protected:
    struct Answer {
        ComponentReport report;
        std::string body;
        std::vector<ComponentFunction> asked;
    };

    /// With a host of its own, and these fields in the request.
    Answer call(std::initializer_list<const char*> fields = {}, CallRecord* record = nullptr, std::int64_t fuel = 1'000'000) {
        FakeHost host;
        host.pends = ComponentFunction::http_head;
        std::vector<std::pair<std::string, std::string>> head;
        for (const auto* field : fields) head.emplace_back(field, "1");
        const GuestRequest request{.method = "GET", .authority = "example.org", .target = "/", .fields = head};
        Answer answer;
        instance_.call({.host = host, .record = record, .fuel = fuel, .memory_limit = 1 << 20}, request, answer.report);
        answer.body = host.body;
        answer.asked = host.asked;
        return answer;
    }

    static std::shared_ptr<Component> load() {
        std::ifstream file(testing::source_dir() / "tests/components/count_http.wat");
        return component(std::string{std::istreambuf_iterator<char>(file), {}}).value();
    }

    ComponentInstance instance_{load()};
};

TEST_F(KeptComponent, KeepsItsStateAndCountsTheFuelOfEachCall) {
    const auto first = call();
    ASSERT_EQ(first.report.outcome, CallOutcome::returned) << first.report.message;
    EXPECT_EQ(first.body, "1c.");
    EXPECT_TRUE(instance_.is_kept());
    const auto second = call();
    const auto third = call();
    EXPECT_EQ(second.body, "2c.");
    EXPECT_EQ(third.body, "3c.");
    EXPECT_EQ(second.report.fuel_used, third.report.fuel_used);
    EXPECT_GT(first.report.fuel_used, second.report.fuel_used);
    EXPECT_EQ(third.report.peak_memory, 65536u);
    // Each may use all that it is given.
    EXPECT_EQ(call({}, nullptr, static_cast<std::int64_t>(third.report.fuel_used) + 1).report.outcome, CallOutcome::returned);
    EXPECT_EQ(call({}, nullptr, static_cast<std::int64_t>(third.report.fuel_used) / 2).report.outcome, CallOutcome::out_of_fuel);
    EXPECT_FALSE(instance_.is_kept());
}

TEST_F(KeptComponent, GoesAfterATrapALimitAStopAndAnAnswerThatIsLeftOpen) {
    const auto ends = [&](std::initializer_list<const char*> fields, CallRecord* record = nullptr) {
        EXPECT_EQ(call().body, "1c.");
        const auto report = call(fields, record).report;
        EXPECT_FALSE(instance_.is_kept());
        return report.outcome;
    };
    EXPECT_EQ(ends({"trap"}), CallOutcome::trapped);
    EXPECT_EQ(ends({"spin"}), CallOutcome::out_of_fuel);
    EXPECT_EQ(ends({"open"}), CallOutcome::returned);
    CallRecord record;
    record.arm();
    record.request_stop(StopCause::cancelled);
    EXPECT_EQ(ends({"spin"}, &record), CallOutcome::stopped);
    record.disarm();
    EXPECT_EQ(call().body, "1c.");
}

TEST_F(KeptComponent, GoesWhenItHasLeftTooMuch) {
    EXPECT_EQ(call().body, "1c.");
    const auto leaking = call({"leak"});
    EXPECT_EQ(leaking.report.outcome, CallOutcome::returned);
    EXPECT_EQ(leaking.body, "2c.");
    EXPECT_FALSE(instance_.is_kept());
}

TEST_F(KeptComponent, NothingOfARequestReachesALaterOne) {
    using ::testing::Contains;
    using ::testing::Not;
    EXPECT_THAT(call({"keep", "late"}).asked, Contains(ComponentFunction::request_read));
    EXPECT_EQ(call({"keep"}).body, "2c.");
    const auto late = call({"late"});
    EXPECT_EQ(late.body, "3cE");
    EXPECT_THAT(late.asked, Not(Contains(ComponentFunction::request_read)));
    // The answer that had not come is an error by now.
    EXPECT_EQ(call({"send", "take"}).body, "4c0");
    const auto taken = call({"take"});
    EXPECT_EQ(taken.body, "5c5");
    EXPECT_THAT(taken.asked, Not(Contains(ComponentFunction::http_head)));
    EXPECT_TRUE(instance_.is_kept());
}

TEST_F(KeptComponent, MayBeEnteredByOneThreadAfterTheOther) {
    for (const auto* body : {"1c.", "2c.", "3c."}) {
        std::jthread([&] { EXPECT_EQ(call({"send"}).body, body); }).join();
    }
}

TEST(Component, CodeIsSerialisedForTheSameEngine) {
    FakeHost host;
    const auto original = component(command("i32.const 1")).value();
    const auto code = original->serialize().value();
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-test-XXXXXX").string();
    const int descriptor = ::mkstemp(pattern.data());
    ASSERT_GE(descriptor, 0);
    ASSERT_EQ(::write(descriptor, code.data(), code.size()), static_cast<ssize_t>(code.size()));
    const auto mapped = Component::map(engine(), descriptor);
    ::close(descriptor);
    ::unlink(pattern.c_str());
    ASSERT_TRUE(mapped) << mapped.error().message();
    EXPECT_TRUE((*mapped)->runs_command());
    EXPECT_EQ(call(**mapped, host).exit_status, 1);
}

}  // namespace
}  // namespace berth
