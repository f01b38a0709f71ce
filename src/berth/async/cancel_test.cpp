#include "berth/async/cancel.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace berth {
namespace {

TEST(CancelToken, OneMadeByDefaultNeverFires) {
    const CancelToken token;
    EXPECT_FALSE(token.requested());
    EXPECT_FALSE(token.can_be_requested());
    EXPECT_EQ(token.cause(), CancelCause::none);
}

TEST(CancelToken, TheFirstRequestDecidesTheCause) {
    CancelSource source;
    const auto token = source.token();
    EXPECT_TRUE(source.cancel(CancelCause::client_gone));
    EXPECT_FALSE(source.cancel(CancelCause::shutting_down));
    EXPECT_EQ(token.cause(), CancelCause::client_gone);
    EXPECT_EQ(token.error().code(), Code::cancelled);
}

TEST(CancelToken, ShutdownHasItsOwnCode) {
    CancelSource source;
    source.cancel(CancelCause::shutting_down);
    EXPECT_EQ(source.token().error().code(), Code::shutting_down);
}

TEST(CancelCallback, RunsOnceWhenTheSourceFires) {
    CancelSource source;
    int calls = 0;
    const auto count = [&] { ++calls; };
    const CancelCallback callback(source.token(), count);
    source.cancel();
    source.cancel();
    EXPECT_EQ(calls, 1);
}

TEST(CancelCallback, RunsAtOnceOnATokenThatHasFired) {
    CancelSource source;
    source.cancel();
    int calls = 0;
    const auto count = [&] { ++calls; };
    const CancelCallback callback(source.token(), count);
    EXPECT_EQ(calls, 1);
}

TEST(CancelCallback, DoesNotRunOnceItIsGone) {
    CancelSource source;
    int calls = 0;
    const auto count = [&] { ++calls; };
    {
        const CancelCallback callback(source.token(), count);
    }
    source.cancel();
    EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace berth
