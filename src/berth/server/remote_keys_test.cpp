#include "berth/server/remote_keys.hpp"

#include <gtest/gtest.h>

#include <latch>

#include "berth/async/sync_wait.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/base/format.hpp"
#include "berth/net/http_client.hpp"
#include "support/test_server.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;
using test::TestPeer;
using test::TestServer;

/// An issuer whose set of keys holds those of the given names, or whose answer is something else.
class RemoteKeysTest : public ::testing::Test {
protected:
    static std::string set_of(const std::vector<std::string>& ids) {
        std::string keys;
        for (const auto& id : ids) keys += format(R"({}{{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}})", keys.empty() ? "" : ",", id);
        return answer_of(format(R"({{"keys":[{}]}})", keys));
    }
    static std::string answer_of(std::string_view body, std::string_view status = "200 OK") { return format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body); }
    void answer(std::string bytes) {
        const std::lock_guard lock(mutex_);
        answer_ = std::move(bytes);
    }
    void prepare(std::string id) { sync_wait(run_on(reactors_->at(0), keys_->prepare(std::move(id), {}))); }
    bool knows(std::string_view id) const {
        const auto keys = keys_->keys();
        return keys && std::any_of(keys->begin(), keys->end(), [&](const JoseKey& key) { return key.id() == id; });
    }
    void make() {
        server_ = std::make_unique<TestServer>([this](TestPeer& peer) {
            while (!peer.head().empty()) {
                ++asked_;
                std::string bytes;
                {
                    const std::lock_guard lock(mutex_);
                    bytes = answer_;
                }
                if (bytes.empty()) continue;  // never answers
                peer.send(bytes);
            }
        });
        keys_ = std::make_unique<RemoteKeys>(RemoteKeys::Options{.url = *Url::parse(format("http://127.0.0.1:{}/keys", server_->port()))}, *client_, clock_, log_);
    }

    FakeClock clock_;
    Log log_{LogLevel::error, clock_, [](std::string_view) {}};
    std::unique_ptr<Reactors> reactors_ = Reactors::start(1);
    std::mutex mutex_;
    std::string answer_ = set_of({"one"});  // guarded by mutex_
    std::atomic<int> asked_{0};
    std::unique_ptr<HttpClient> client_ = std::move(*HttpClient::create({}));
    std::unique_ptr<TestServer> server_;
    std::unique_ptr<RemoteKeys> keys_;
};

TEST_F(RemoteKeysTest, AreAskedForWhenTheyAreNeededAndThenKept) {
    make();
    EXPECT_EQ(keys_->keys(), nullptr);
    EXPECT_EQ(asked_, 0);
    EXPECT_TRUE(keys_->is_due("one"));
    prepare("one");
    EXPECT_TRUE(knows("one"));
    EXPECT_FALSE(keys_->is_due("one"));
    EXPECT_FALSE(keys_->is_due(""));
    clock_.advance(5min);
    prepare("one");
    EXPECT_EQ(asked_, 1);
}

TEST_F(RemoteKeysTest, AnUnknownKeyHasThemAskedForAtMostOnceAMinute) {
    make();
    prepare("one");
    answer(set_of({"one", "two"}));
    EXPECT_TRUE(keys_->is_due("two"));
    prepare("two");
    for (int i = 0; i < 100; ++i) prepare(format("made-up-{}", i));
    EXPECT_EQ(asked_, 1);
    EXPECT_FALSE(knows("two"));
    clock_.advance(1min);
    prepare("two");
    EXPECT_EQ(asked_, 2);
    EXPECT_TRUE(knows("two"));
}

TEST_F(RemoteKeysTest, AreRenewedBeforeTheyAreOldAndKeysThatAreGoneNoLongerHold) {
    make();
    prepare("one");
    answer(set_of({"two"}));
    clock_.advance(6min);
    prepare("one");          // begins to renew them; those that are there are good enough
    prepare("not-known");    // waits for that, if it has not ended
    EXPECT_EQ(asked_, 2);
    EXPECT_FALSE(knows("one"));
    clock_.advance(11min);
    answer(set_of({"three"}));
    prepare("two");          // too old: waits for the new ones
    EXPECT_FALSE(knows("two"));
    EXPECT_TRUE(knows("three"));
}

TEST_F(RemoteKeysTest, WhatWasKnownHoldsForADayWhileTheIssuerFails) {
    make();
    prepare("one");
    for (const auto& failing : {answer_of("", "500 Oops"), answer_of("no keys"), answer_of(R"({"keys":[]})"), answer_of("", "302 Found"), std::string("rubbish\r\n\r\n")}) {
        answer(failing);
        clock_.advance(11min);
        const int before = asked_;
        prepare("one");
        EXPECT_EQ(asked_, before + 1) << failing;
        EXPECT_TRUE(knows("one")) << failing;
    }
    const int before = asked_;
    clock_.advance(9s);
    prepare("one");
    EXPECT_EQ(asked_, before);
    clock_.advance(1s);
    prepare("one");
    EXPECT_EQ(asked_, before + 1);
    clock_.advance(24h);
    EXPECT_EQ(keys_->keys(), nullptr);
}

TEST_F(RemoteKeysTest, ManyAtOnceAreOneRequest) {
    make();
    TaskScope scope;
    std::latch ended(50);
    const auto one = [](RemoteKeys& keys, std::latch& done) -> Task<void> {
        co_await keys.prepare("one", {});
        done.count_down();
    };
    for (int i = 0; i < 50; ++i) scope.spawn(reactors_->at(0), one(*keys_, ended));
    ended.wait();
    sync_wait(scope.join());
    EXPECT_EQ(asked_, 1);
    EXPECT_TRUE(knows("one"));
}

TEST_F(RemoteKeysTest, EndsWhileTheIssuerDoesNotAnswerAndNobodyWaitsLongerThanItWants) {
    answer("");
    make();
    TaskScope scope;
    CancelSource gone;
    std::latch ended(1);
    const auto one = [](RemoteKeys& keys, CancelToken token, std::latch& done) -> Task<void> {
        co_await keys.prepare("one", token);
        done.count_down();
    };
    scope.spawn(reactors_->at(0), one(*keys_, gone.token(), ended));
    gone.cancel(CancelCause::client_gone);
    ended.wait();
    sync_wait(scope.join());
    keys_.reset();  // the request is under way, or about to be
    SUCCEED();
}

}  // namespace
}  // namespace berth
