#include "berth/server/event_feed.hpp"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "berth/async/sync_wait.hpp"
#include "berth/async/task_scope.hpp"

namespace berth {
namespace {

class EventFeedTest : public ::testing::Test {
protected:
    /// The next part that a follower gives, in a reactor.
    std::string next(HttpBodySource& source, CancelToken gone = {}) {
        auto part = sync_wait(run_on(reactors_->at(0), source.next(gone)));
        return part ? *part : "failed";
    }
    HttpResponse follow(std::string_view last = "") {
        HttpRequest request;
        if (!last.empty()) request.fields = {{"Last-Event-ID", last}};
        return feed_.follow(request);
    }

    std::unique_ptr<Reactors> reactors_ = Reactors::start(2);
    FakeClock clock_;
    EventFeed feed_{clock_, 3};
};

TEST_F(EventFeedTest, AFollowerGetsWhatComesAfterItCame) {
    feed_.publish("reload.done", "\"count\":1");
    auto response = follow();
    EXPECT_EQ(response.content_type, "text/event-stream");
    EXPECT_TRUE(response.source->is_endless());
    feed_.publish("function.added", "\"function\":\"a\"");
    feed_.publish("function.removed", "");
    const auto text = next(*response.source);
    EXPECT_TRUE(text.starts_with("id: 2\nevent: function.added\ndata: {\"seq\":2,\"ts\":\"")) << text;
    EXPECT_NE(text.find("\"type\":\"function.added\",\"function\":\"a\"}\n\nid: 3\n"), std::string::npos) << text;
}

TEST_F(EventFeedTest, AFollowerThatWasAwayGetsWhatIsKept) {
    for (int i = 0; i < 5; ++i) feed_.publish("x", "");
    EXPECT_TRUE(next(*follow("4").source).starts_with("id: 5\n"));
    EXPECT_TRUE(next(*follow("1").source).starts_with("id: 3\n"));  // 2 is no longer there
}

TEST_F(EventFeedTest, WhoWaitsIsWokenByTheNextEventOrTheEnd) {
    auto response = follow();
    auto waiting = std::async(std::launch::async, [&] { return next(*response.source); });
    feed_.publish("x", "");
    EXPECT_TRUE(waiting.get().starts_with("id: 1\n"));
    CancelSource gone;
    auto ending = std::async(std::launch::async, [&] { return next(*response.source, gone.token()); });
    gone.cancel(CancelCause::client_gone);
    EXPECT_EQ(ending.get(), "");
    EXPECT_EQ(next(*response.source, gone.token()), "");
}

TEST_F(EventFeedTest, NoRingIsLostBetweenManyThreads) {
    auto response = follow();
    std::jthread publisher([&] {
        for (int i = 0; i < 2000; ++i) feed_.publish("x", "");
    });
    std::string last;
    while (last.find("id: 2000\n") == std::string::npos) last = next(*response.source);
    SUCCEED();
}

}  // namespace
}  // namespace berth
