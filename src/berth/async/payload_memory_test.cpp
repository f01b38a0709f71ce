#include "berth/async/payload_memory.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/async/task_scope.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

using testing::TempDir;

constexpr std::size_t part_size = 100 * 1024;
using Kind = PayloadBuffer::Kind;

/// Fills a buffer part by part, in the loop it is called in.
Task<void> fill(PayloadBuffer& buffer, std::size_t parts, std::vector<int>* order = nullptr, int name = 0) {
    const std::string part(part_size, 'x');
    for (std::size_t i = 0; i < parts; ++i) {
        auto fits = buffer.reserve(part.size());
        while (fits && !*fits) {
            co_await buffer.room();
            fits = buffer.reserve(part.size());
        }
        if (!fits || !buffer.append(part)) co_return;
    }
    if (buffer.finish() && order != nullptr) order->push_back(name);
}

class PayloadMemoryTest : public ::testing::Test {
protected:
    std::shared_ptr<PayloadMemory> memory(std::uint64_t most, std::filesystem::path folder = {}, std::uint64_t in_memory = 3 * part_size) {
        return std::make_shared<PayloadMemory>(PayloadMemory::Options{.most = most, .in_memory = in_memory, .folder = std::move(folder)});
    }
    /// What runs in the loop until nothing in it can go on.
    void settle() { sync_wait(run_on(reactors_->at(0), [](Reactor& reactor) -> Task<void> { co_await reactor.yield(); }(reactors_->at(0)))); }

    std::unique_ptr<Reactors> reactors_ = Reactors::start(1);
    TaskScope scope_;
    TempDir scratch_;
};

TEST_F(PayloadMemoryTest, SmallPayloadsDoNotCount) {
    const auto shared = memory(1);
    PayloadBuffer buffer(shared, Kind::input);
    ASSERT_TRUE(*buffer.reserve(PayloadBuffer::uncounted));
    ASSERT_TRUE(buffer.append(std::string(PayloadBuffer::uncounted, 'a')));
    ASSERT_TRUE(buffer.finish());
    EXPECT_FALSE(buffer.is_large());
    EXPECT_EQ(shared->use().most_used, 0U);
    EXPECT_EQ(buffer.take().size(), PayloadBuffer::uncounted);
}

TEST_F(PayloadMemoryTest, WhatIsUsedIsGivenBack) {
    const auto shared = memory(10 * part_size);
    {
        PayloadBuffer buffer(shared, Kind::input);
        sync_wait(run_on(reactors_->at(0), fill(buffer, 4)));
        EXPECT_EQ(shared->use().used, 4 * part_size);
        const auto owner = buffer.share();
        EXPECT_TRUE(buffer.empty());
        EXPECT_EQ(owner->text().size(), 4 * part_size);
        EXPECT_EQ(shared->use().used, 4 * part_size);
    }
    EXPECT_EQ(shared->use().used, 0U);
    EXPECT_EQ(shared->use().files, 0U);
}

TEST_F(PayloadMemoryTest, OneOfEachKindGoesBeyondTheBoundAndOthersWaitInLine) {
    const auto shared = memory(part_size);
    auto full = std::make_unique<PayloadBuffer>(shared, Kind::input, std::string(part_size, 'f'));
    PayloadBuffer first(shared, Kind::input), second(shared, Kind::input), third(shared, Kind::input), output(shared, Kind::output);
    std::vector<int> order;
    auto& loop = reactors_->at(0);
    // The first goes beyond the bound and stays there, as one whose client is slow.
    sync_wait(run_on(loop, [](PayloadBuffer& buffer) -> Task<void> {
        if (!*buffer.reserve(part_size)) co_await buffer.room();
    }(first)));
    scope_.spawn(loop, fill(second, 2, &order, 2));
    scope_.spawn(loop, fill(third, 2, &order, 3));
    scope_.spawn(loop, fill(output, 2, &order, 9));
    settle();
    EXPECT_EQ(order, std::vector<int>{9}) << "an output does not wait for inputs";
    EXPECT_EQ(shared->use().waiting, 2U);
    EXPECT_EQ(shared->use().waits, 2U);
    sync_wait(run_on(loop, [](PayloadBuffer& buffer) -> Task<void> {
        buffer.clear();
        co_return;
    }(first)));
    sync_wait(scope_.join());
    EXPECT_EQ(order, (std::vector<int>{9, 2, 3})) << "who came first is served first";
    EXPECT_EQ(shared->use().waiting, 0U);
    for (auto* each : {&second, &third, &output}) each->clear();
    full.reset();
    EXPECT_EQ(shared->use().used, 0U);
}

TEST_F(PayloadMemoryTest, WhoStopsDoesNotWait) {
    const auto shared = memory(part_size);
    PayloadBuffer full(shared, Kind::output, std::string(part_size, 'f'));
    PayloadBuffer beyond(shared, Kind::output), waiting(shared, Kind::output);
    auto& loop = reactors_->at(0);
    bool over = false;
    sync_wait(run_on(loop, fill(beyond, 1)));  // ends, so that the place beyond the bound is free
    sync_wait(run_on(loop, [](PayloadBuffer& buffer) -> Task<void> {
        if (!*buffer.reserve(part_size)) co_await buffer.room();
    }(beyond)));
    scope_.spawn(loop, [](PayloadBuffer& buffer, bool& over) -> Task<void> {
        if (!*buffer.reserve(part_size)) co_await buffer.room();
        over = true;
    }(waiting, over));
    settle();
    EXPECT_FALSE(over);
    waiting.stop();
    sync_wait(scope_.join());
    EXPECT_TRUE(over);
    EXPECT_EQ(shared->use().waiting, 0U);
    EXPECT_FALSE(waiting.is_large());
}

TEST_F(PayloadMemoryTest, ALargeOneGoesToAFileThatHasNoName) {
    const auto shared = memory(part_size, scratch_.path());
    PayloadBuffer full(shared, Kind::input, std::string(part_size, 'f'));
    PayloadBuffer other(shared, Kind::output), large(shared, Kind::input);
    sync_wait(run_on(reactors_->at(0), fill(large, 40)));
    EXPECT_TRUE(large.is_in_file());
    EXPECT_EQ(large.text(), std::string(40 * part_size, 'x'));
    EXPECT_EQ(shared->use().used, part_size);
    EXPECT_EQ(shared->use().in_files, 40 * part_size);
    EXPECT_EQ(shared->use().files, 1U);
    EXPECT_LE(shared->use().most_used, 6 * part_size) << "no more than what may be in memory, beyond the bound";
    EXPECT_TRUE(std::filesystem::is_empty(scratch_.path()));
    large.seen(large.size());
    large.keep(3, 2 * part_size);
    const auto owner = large.share();
    EXPECT_EQ(owner->text().size(), 2 * part_size);
    ASSERT_TRUE(owner->rewrite([](std::string_view part, char* to) {
        const auto upper = [](char c) { return static_cast<char>(std::toupper(c)); };
        std::ranges::transform(part, to, upper);
        return part.size() - 1;  // each part one shorter
    }));
    EXPECT_EQ(owner->text(), std::string(2 * part_size - 1, 'X'));
    owner->clear();
    EXPECT_EQ(shared->use().in_files, 0U);
}

TEST_F(PayloadMemoryTest, OneThatIsKnownToBecomeLargeDoesNotWaitAtAll) {
    const auto shared = memory(part_size, scratch_.path());
    PayloadBuffer full(shared, Kind::input, std::string(part_size, 'f'));
    PayloadBuffer large(shared, Kind::input);
    large.expect(10 * part_size);
    sync_wait(run_on(reactors_->at(0), fill(large, 10)));
    EXPECT_TRUE(large.is_in_file());
    EXPECT_EQ(shared->use().most_used, part_size);
    EXPECT_EQ(shared->use().waits, 0U);
}

TEST_F(PayloadMemoryTest, WithoutAFolderForFilesItWaitsAsOthers) {
    const auto shared = memory(part_size, scratch_.path() / "file" / "below");
    std::filesystem::create_directories(scratch_.path());
    ::close(::open((scratch_.path() / "file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    PayloadBuffer full(shared, Kind::input, std::string(part_size, 'f'));
    PayloadBuffer large(shared, Kind::input);
    large.expect(10 * part_size);
    sync_wait(run_on(reactors_->at(0), fill(large, 10)));
    EXPECT_FALSE(large.is_in_file());
    EXPECT_EQ(large.size(), 10 * part_size) << "as the one that may go beyond the bound";
}

TEST_F(PayloadMemoryTest, AFileThatCannotBeWrittenIsAnErrorThatNamesIt) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto old = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 5 * part_size, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto shared = memory(part_size, scratch_.path());
    PayloadBuffer full(shared, Kind::input, std::string(part_size, 'f'));
    PayloadBuffer large(shared, Kind::input);
    large.expect(10 * part_size);
    const std::string part(part_size, 'x');
    Result<void> added;
    for (int i = 0; i < 10 && added; ++i) {
        const auto fits = large.reserve(part.size());
        if (!fits) added = std::unexpected(fits.error());
        else added = large.append(part);
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code(), Code::io_error);
    EXPECT_NE(added.error().message().find(scratch_.path().string()), std::string::npos);
    EXPECT_TRUE(large.failed());
}

}  // namespace
}  // namespace berth
