#include "berth/telemetry/queued_sink.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "support/temp_dir.hpp"

namespace berth {
namespace {

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(QueuedSink, WritesEveryLineInOrderBeforeItEnds) {
    const berth::testing::TempDir folder;
    Counter dropped;
    std::string wanted;
    {
        auto sink = QueuedSink::to_file(folder.path() / "log", dropped);
        ASSERT_TRUE(sink);
        for (int i = 0; i < 1000; ++i) {
            const auto line = std::to_string(i) + "\n";
            wanted += line;
            (*sink)->put(line);
        }
    }
    EXPECT_EQ(content(folder.path() / "log"), wanted);
    EXPECT_EQ(dropped.value(), 0U);
}

TEST(QueuedSink, WhatDoesNotFitIsDroppedAndCountedAndNobodyWaits) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Counter dropped;
    {
        const auto sink = QueuedSink::to_descriptor(ends[1], dropped, 4);
        const std::string block(1 << 20, 'x');  // more than a pipe holds: the writer waits for a reader
        for (int i = 0; i < 100; ++i) sink->put(block);
        EXPECT_GE(dropped.value(), 90U);
        ::close(ends[0]);  // nobody reads any more: what waits is dropped too
    }
    EXPECT_EQ(dropped.value(), 100U);
    ::close(ends[1]);
}

TEST(QueuedSink, AFileThatWasMovedAwayIsMadeAnew) {
    const berth::testing::TempDir folder;
    Counter dropped;
    const auto file = folder.path() / "log", old = folder.path() / "log.1";
    {
        auto sink = QueuedSink::to_file(file, dropped);
        ASSERT_TRUE(sink);
        std::filesystem::rename(file, old);
        ASSERT_TRUE((*sink)->reopen());
        (*sink)->put("after\n");
    }
    EXPECT_EQ(content(file), "after\n");
    EXPECT_EQ(content(old), "");
}

TEST(QueuedSink, AFileThatCannotBeMadeIsRefusedByName) {
    Counter dropped;
    const auto sink = QueuedSink::to_file("/nowhere/at/all/log", dropped);
    ASSERT_FALSE(sink);
    EXPECT_EQ(sink.error().code(), Code::cannot_create);
    EXPECT_NE(sink.error().message().find("/nowhere/at/all/log"), std::string::npos);
}

}  // namespace
}  // namespace berth
