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

/// Grants what it is told to, and writes down what happened.
class FakeHost final : public ComponentHost {
public:
    Entry enter(ComponentNeed need, std::string_view function, std::string_view) override {
        entered.emplace_back(function);
        return need == denied ? Entry::denied : ends ? Entry::ends : Entry::granted;
    }
    std::int64_t wall_clock() override { return 1'700'000'000'000'000'000; }
    std::uint64_t monotonic_clock() override { return now; }
    void random(MutableBytes out) override { std::fill(out.begin(), out.end(), std::uint8_t{7}); }
    std::int64_t read(MutableBytes) override { return 0; }
    Written write(bool, ByteView bytes) override {
        written += as_text(bytes);
        return Written::all;
    }
    void wait(std::chrono::nanoseconds duration) override { now += static_cast<std::uint64_t>(duration.count()); }

    ComponentNeed denied = ComponentNeed::datagram;
    bool ends = false;
    std::uint64_t now = 1'000;
    std::string written;
    std::vector<std::string> entered;
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
    EXPECT_THAT(granted.entered, ::testing::ElementsAre("wasi:clocks/monotonic-clock.now"));
    FakeHost denied;
    denied.denied = ComponentNeed::clock;
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
    ASSERT_TRUE(report.response) << report.message;
    EXPECT_EQ(report.response->status, 200);
    EXPECT_EQ(report.response->body, R"({"message":"Hello, World!"})");
    EXPECT_THAT(report.response->fields, ::testing::Contains(std::pair<std::string, std::string>("content-type", "application/json")));
    handler->call({.host = host, .output_limit = 26}, &request, report);
    EXPECT_TRUE(report.output_too_large);
    EXPECT_FALSE(report.response);
    const GuestRequest bad{.method = "NO GOOD", .authority = "example.org", .target = "/"};
    handler->call({.host = host}, &bad, report);
    EXPECT_EQ(report.outcome, CallOutcome::not_started);
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
