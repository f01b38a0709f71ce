#include "berth/net/body_pipe.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace berth {
namespace {

using State = BodyPipe::State;

TEST(BodyPipe, GivesWhatWasWrittenInOrderAndThenItsEnd) {
    BodyPipe pipe;
    std::string part;
    EXPECT_EQ(pipe.take(10, part), State::pending);
    pipe.write("hello ");
    pipe.write("world");
    ASSERT_EQ(pipe.take(7, part), State::some);
    EXPECT_EQ(part, "hello w");
    pipe.end({{"x-sum", "1"}});
    ASSERT_EQ(pipe.take(100, part), State::some);
    EXPECT_EQ(part, "orld");
    EXPECT_EQ(pipe.take(100, part), State::ended);
    EXPECT_EQ(pipe.trailers(), (BodyPipe::Fields{{"x-sum", "1"}}));
    EXPECT_EQ(pipe.written(), 11u);
}

TEST(BodyPipe, TheReaderIsCalledOnceForEachTimeItFoundNothing) {
    BodyPipe pipe;
    int calls = 0;
    pipe.on_ready([&] { ++calls; });
    std::string part;
    pipe.write("a");
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(pipe.take(9, part), State::some);
    EXPECT_EQ(pipe.take(9, part), State::pending);
    pipe.write("b");
    pipe.write("c");
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(pipe.take(9, part), State::some);
    EXPECT_EQ(pipe.take(9, part), State::pending);
    pipe.end();
    EXPECT_EQ(calls, 2);
}

TEST(BodyPipe, TheWriterIsCalledWhenThereIsRoomAgainAndWhenItIsFirstWaitedFor) {
    BodyPipe pipe(8);
    int calls = 0;
    pipe.on_room([&] { ++calls; });
    std::string part;
    EXPECT_EQ(pipe.take(9, part), State::pending);
    EXPECT_EQ(pipe.take(9, part), State::pending);
    EXPECT_EQ(calls, 1);
    pipe.write("12345678");
    EXPECT_FALSE(pipe.has_room());
    EXPECT_EQ(pipe.take(2, part), State::some);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(pipe.take(2, part), State::some);
    EXPECT_EQ(calls, 2);
    EXPECT_TRUE(pipe.has_room());
}

TEST(BodyPipe, WhatIsBrokenOffStaysBroken) {
    BodyPipe pipe;
    std::string part;
    pipe.write("x");
    pipe.break_off(Error(Code::bad_input, "first"));
    pipe.break_off(Error(Code::bad_input, "second"));
    pipe.write("y");
    pipe.end();
    EXPECT_EQ(pipe.take(9, part), State::some);
    EXPECT_EQ(part, "x");
    EXPECT_EQ(pipe.take(9, part), State::broken);
    EXPECT_EQ(pipe.error()->message(), "first");
    BodyPipe whole;
    whole.end();
    whole.break_off(Error(Code::bad_input, "late"));
    EXPECT_EQ(whole.take(9, part), State::ended);
}

TEST(BodyPipe, CarriesBytesBetweenThreadsWithinItsRoom) {
    BodyPipe pipe(1000);
    std::atomic<int> ready{0}, room{0};
    pipe.on_ready([&] { ready.fetch_add(1); ready.notify_one(); });
    pipe.on_room([&] { room.fetch_add(1); room.notify_one(); });
    constexpr std::size_t total = 500'000;
    std::thread writer([&] {
        std::size_t sent = 0;
        while (sent < total) {
            const auto heard = room.load();
            if (!pipe.has_room()) {
                room.wait(heard);
                continue;
            }
            const auto size = std::min<std::size_t>(total - sent, 1 + sent % 700);
            std::string part(size, '\0');
            for (auto& c : part) c = static_cast<char>('a' + sent++ % 26);
            pipe.write(part);
        }
        pipe.end();
    });
    std::size_t got = 0, most = 0;
    bool right = true;
    std::string part;
    for (auto state = State::pending; state != State::ended;) {
        const auto heard = ready.load();
        state = pipe.take(5000, part);
        if (state == State::pending) ready.wait(heard);
        if (state != State::some) continue;
        most = std::max(most, part.size());
        for (const char c : part) right = right && c == static_cast<char>('a' + got++ % 26);
    }
    writer.join();
    EXPECT_EQ(got, total);
    EXPECT_TRUE(right);
    EXPECT_LE(most, 1700u);
}

}  // namespace
}  // namespace berth
