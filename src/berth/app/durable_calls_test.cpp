// Durable calls of a real guest whose process is killed at every boundary of its first operations, and taken up by another.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>
#include <optional>

#include "berth/app/application.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/runtime/wasm_functions.hpp"
#include "support/source_dir.hpp"
#include "support/temp_dir.hpp"
#include "support/test_application.hpp"

namespace berth {
namespace {

/// The folder that a test and the process which it starts share: the child is told it.
class SharedFolder {
public:
    SharedFolder() {
        if (const char* told = std::getenv(variable)) {
            path_ = told;
            return;
        }
        path_ = own_.emplace().path();
        ::setenv(variable, path_.c_str(), 1);
    }
    ~SharedFolder() {
        if (own_) ::unsetenv(variable);
    }
    const std::filesystem::path& path() const noexcept { return path_; }

private:
    static constexpr auto variable = "BERTH_TEST_DURABLE_FOLDER";
    std::optional<testing::TempDir> own_;
    std::filesystem::path path_;
};

/// The host of one process: the ledger's guest (tests/serve/ledger.wat), whose effects are lines of a file.
class Host {
public:
    explicit Host(const std::filesystem::path& folder, std::function<void(RecordPoint, std::uint64_t)> at_point = {}) {
        for (const char* name : {"data", "calls"}) std::filesystem::create_directories(folder / name);
        std::ofstream(folder / "data/go").flush();  // nothing to wait for
        application_ = test::test_application();
        PolicyRequest request;
        request.mounts = {format("data={}:rw", (folder / "data").string())};
        auto loaded = application_->load(testing::source_dir() / "tests/serve/ledger.wat", "ledger", request, no_progress());
        EXPECT_TRUE(loaded) << loaded.error().full_message();
        function_ = std::make_shared<Function>(Function{.name = "ledger", .world = "wasi", .limits = (*loaded)->limits()});
        std::vector<WasmFunctions::Served> served;
        served.push_back({.function = function_, .program = std::move(*loaded), .entry = {}, .arguments = {}});
        auto host = test::host_of(*application_);
        host.durable_folder = folder / "calls";
        host.at_point = std::move(at_point);
        functions_ = std::make_unique<WasmFunctions>(std::move(host), std::move(served));
    }
    Outcome run() {
        EXPECT_TRUE(functions_->resumes(*function_));
        Call call;
        call.id = call.request_id = "the-call";
        call.function = "ledger";
        call.input.bytes = "aa";
        call.durable = true;
        return sync_wait(functions_->call(function_, call));
    }

private:
    std::unique_ptr<Application> application_;
    FunctionRef function_;
    std::unique_ptr<WasmFunctions> functions_;
};

std::map<std::string, int> lines_of(const std::filesystem::path& folder) {
    std::map<std::string, int> found;
    std::ifstream file(folder / "data/ledger.txt");
    for (std::string line; std::getline(file, line);) ++found[line];
    return found;
}

// Its first operations, by their numbers.
constexpr std::uint64_t reads_input = 1, opens = 2, writes_line = 3, closes = 4, writes_output = 5, waits = 6, opens_again = 7;
constexpr std::array names{"", "fd_read", "path_open", "fd_write", "fd_close", "fd_write", "poll_oneoff", "path_open"};

[[noreturn]] void run_until_killed(const std::filesystem::path& folder, RecordPoint point, std::uint64_t number) {
    Host(folder, [=](RecordPoint here, std::uint64_t operation) {
        if (here == point && operation == number) ::raise(SIGKILL);
    }).run();
    ::_exit(0);
}

class DurableCalls : public ::testing::TestWithParam<std::tuple<RecordPoint, std::uint64_t>> {};

TEST_P(DurableCalls, AreTakenUpWhereTheirProcessWasKilled) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto [point, number] = GetParam();
    const SharedFolder folder;
    EXPECT_EXIT(run_until_killed(folder.path(), point, number), ::testing::KilledBySignal(SIGKILL), "");

    const auto outcome = Host(folder.path()).run();
    const auto journal = Journal::read(folder.path() / "calls/the-call.bj");
    ASSERT_TRUE(journal) << journal.error().full_message();
    ASSERT_NE(journal->end(), nullptr);
    for (const auto& entry : journal->entries) {
        if (entry.number == 0 || entry.number >= names.size() || entry.function.empty()) continue;
        EXPECT_EQ(entry.function, format("wasi_snapshot_preview1.{}", names[entry.number]));
    }
    const auto lines = lines_of(folder.path());
    for (const auto& [line, times] : lines) EXPECT_EQ(times, 1) << line;

    const bool is_unknown = point == RecordPoint::call_written || point == RecordPoint::effect_done;
    const bool is_over = point == RecordPoint::done_written || point == RecordPoint::seen_written;
    const bool opened = (number == opens || number == opens_again) && is_over;
    if (is_unknown && (number == opens || number == writes_line || number == opens_again)) {
        ASSERT_TRUE(outcome.error) << "the guest is told, and ends with what it was told";
        EXPECT_EQ(outcome.error->code(), Code::exit_nonzero);
        EXPECT_EQ(lines.size(), number == opens_again ? 1u : number == writes_line && point == RecordPoint::effect_done ? 1u : 0u);
    } else if (opened || (number == writes_line && point == RecordPoint::before_call)) {
        ASSERT_TRUE(outcome.error) << "the next line would go to what was open";
        EXPECT_EQ(outcome.error->code(), Code::host_restarted) << outcome.error->full_message();
        EXPECT_EQ(lines.size(), number == opens_again ? 1u : 0u);
    } else {
        ASSERT_FALSE(outcome.error) << outcome.error->full_message();
        EXPECT_EQ(lines.size(), 8u);
        EXPECT_EQ(outcome.output.bytes, "01234567");
    }

    // One that has ended is told from its journal, and nothing happens.
    const auto size = std::filesystem::file_size(folder.path() / "calls/the-call.bj");
    const auto again = Host(folder.path()).run();
    EXPECT_EQ(again.error ? again.error->code() : Code::ok, outcome.error ? outcome.error->code() : Code::ok);
    EXPECT_EQ(again.output.bytes, outcome.output.bytes);
    EXPECT_EQ(again.usage.fuel, outcome.usage.fuel);
    EXPECT_EQ(lines_of(folder.path()), lines);
    EXPECT_EQ(std::filesystem::file_size(folder.path() / "calls/the-call.bj"), size);
}

std::vector<std::tuple<RecordPoint, std::uint64_t>> boundaries() {
    std::vector<std::tuple<RecordPoint, std::uint64_t>> all;
    for (const auto number : {reads_input, opens, writes_line, closes, writes_output, waits, opens_again}) {
        for (const auto point : {RecordPoint::before_call, RecordPoint::call_written, RecordPoint::effect_done, RecordPoint::done_written, RecordPoint::seen_written}) {
            // What only looks, or changes only the guest's own state, is one entry: nothing is written before it.
            const bool is_value = number == reads_input || number == closes;
            if (!is_value || (point != RecordPoint::call_written && point != RecordPoint::seen_written)) all.emplace_back(point, number);
        }
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(EveryBoundary, DurableCalls, ::testing::ValuesIn(boundaries()));

}  // namespace
}  // namespace berth
