#include "berth/runtime/component_gate.hpp"

#include "support/component_gate_fixture.hpp"

namespace berth::component_gate_test {
namespace {

struct Case {
    const char* what;
    Capability capability;
};
constexpr Case cases[] = {
    {"wall", Capability::time_now},      {"monotonic", Capability::time_now}, {"sleep", Capability::time_sleep}, {"secure", Capability::random_secure}, {"insecure", Capability::random_number},
    {"fetch", Capability::net_fetch},    {"send", Capability::net_send},      {"read", Capability::fs_read},     {"write", Capability::fs_write},       {"list", Capability::fs_read},
    {"delete", Capability::fs_delete},
};

TEST_F(ComponentGateTest, WithoutAGrantEachIsDeniedToldOnceAndHasNoEffect) {
    for (const auto& each : cases) {
        begin();
        denials_.told.clear();
        const auto got = try_function(each.what);
        EXPECT_EQ(got.next, Next::denied) << each.what;
        EXPECT_EQ(got.bytes, "") << each.what;
        ASSERT_EQ(denials_.told.size(), 1u) << each.what;
        EXPECT_THAT(denials_.told[0], ::testing::EndsWith(name(each.capability)));
        ASSERT_TRUE(gate_->failure());
        EXPECT_EQ(gate_->failure()->code(), Code::capability_denied);
    }
    EXPECT_EQ(network_.opened, 0);
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "new.txt"));
}

TEST_F(ComponentGateTest, WithExactlyItsGrantEachWorksAndWithAllOthersItIsDenied) {
    for (const auto& each : cases) {
        std::ofstream(folder_.path() / "gone.txt") << "x";
        policy_.grants.clear();
        grant(each.capability);
        begin();
        const auto got = try_function(each.what);
        EXPECT_EQ(got.next, Next::proceed) << each.what;
        EXPECT_EQ(got.answer.status, 0) << each.what;
        policy_.grants.clear();
        for (const auto& other : cases) {
            if (other.capability != each.capability) grant(other.capability);
        }
        std::filesystem::remove(folder_.path() / "new.txt");
        begin();
        EXPECT_EQ(try_function(each.what).next, Next::denied) << each.what;
    }
}

TEST_F(ComponentGateTest, NothingHappensBehindTheEndOfTheCall) {
    grant(Capability::net_fetch);
    begin();
    EXPECT_EQ(ask(stdout_write, std::string((1 << 20) + 1, 'x')).next, Next::ends);
    EXPECT_EQ(gate_->failure()->code(), Code::output_too_large);
    // What runs beside the guest may still ask.
    EXPECT_EQ(try_function("fetch").next, Next::ends);
    EXPECT_EQ(network_.opened, 0);
    EXPECT_EQ(gate_->failure()->code(), Code::output_too_large);
}

TEST_F(ComponentGateTest, TheCallBeyondTheLimitIsNotMade) {
    grant(Capability::net_fetch);
    grant(Capability::time_now);
    limits_.set(Limit::host_calls, 1);
    begin();
    EXPECT_EQ(ask(wall_now).next, Next::proceed);
    EXPECT_EQ(try_function("fetch").next, Next::ends);
    EXPECT_EQ(network_.opened, 0);
    EXPECT_EQ(gate_->failure()->code(), Code::quota_exceeded);
}

TEST_F(ComponentGateTest, FilesAreReachedBeneathTheMountOnly) {
    for (const auto capability : {Capability::fs_read, Capability::fs_write, Capability::fs_delete}) grant(capability);
    std::filesystem::create_symlink("/etc/passwd", folder_.path() / "out");
    std::filesystem::create_symlink("a.txt", folder_.path() / "in");
    begin();
    const auto root = mount();
    for (const char* path : {"../a.txt", "/etc/passwd", "out", "x/../../a.txt", ""}) {
        const auto got = ask(file_open, path, root, 1 << 4 | 1 << 6);
        EXPECT_TRUE(got.next == Next::denied || got.answer.status != 0) << path;
    }
    const auto opened = ask(file_open, "in", root, 1 << 4 | 1 << 6);
    ASSERT_EQ(opened.answer.status, 0);
    EXPECT_EQ(ask(file_read, {}, opened.answer.x, 0, 100).bytes, "content");
    EXPECT_EQ(ask(file_read, {}, opened.answer.x, 3, 2).bytes, "te");
    EXPECT_EQ(ask(file_read, {}, opened.answer.x, 100, 2).bytes, "");
    const auto made = ask(file_open, "b.txt", root, 1 | 1 << 4 | 1 << 5);
    ASSERT_EQ(made.answer.status, 0);
    EXPECT_EQ(ask(file_write, "hello", made.answer.x, 2).answer.x, 5u);
    EXPECT_EQ(ask(file_write, "!", made.answer.x, ~std::uint64_t{0}).answer.x, 1u);
    EXPECT_EQ(ask(file_read, {}, made.answer.x, 0, 100).bytes, std::string("\0\0hello!", 8));
    EXPECT_EQ(ask(file_close, {}, made.answer.x).answer.status, 0);
    EXPECT_NE(ask(file_read, {}, made.answer.x, 0, 100).answer.status, 0);
    EXPECT_NE(ask(file_read, {}, 99, 0, 100).answer.status, 0);
}

TEST_F(ComponentGateTest, HandlesAreBounded) {
    grant(Capability::fs_read);
    limits_.set(Limit::handles, 3);
    begin();
    const auto root = mount();
    for (int i = 0; i < 2; ++i) EXPECT_EQ(ask(file_open, "a.txt", root, 1 << 4).answer.status, 0);
    EXPECT_EQ(ask(file_open, "a.txt", root, 1 << 4).answer.status, 1 + static_cast<int>(FileError::too_many_open));
}

TEST_F(ComponentGateTest, ARequestIsAnsweredInPartsAndWaitsAreNoCalls) {
    grant(Capability::net_send);
    begin();
    const auto opened = ask(http_handle, request("PUT", "http://a.example/x"), 0, 1);
    ASSERT_EQ(opened.answer.status, 0);
    EXPECT_EQ(ask(http_room, {}, opened.answer.x).answer.x, 10u);
    EXPECT_EQ(ask(http_write, "body", opened.answer.x).answer.status, 0);
    EXPECT_EQ(ask(http_finish, {}, opened.answer.x).answer.status, 0);
    const auto calls = gate_->host_calls();
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, component_pending);
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, component_pending);
    EXPECT_EQ(gate_->host_calls(), calls);
    const auto head = ask(http_head, {}, opened.answer.x);
    EXPECT_EQ(head.answer.x, 203u);
    EXPECT_EQ(head.bytes, "\x03x-a\x01" "b");
    EXPECT_EQ(ask(http_read, {}, opened.answer.x, 6).bytes, "PUT ht");
    EXPECT_EQ(ask(http_read, {}, opened.answer.x, 100).bytes, "tp://a.example/x body");
    EXPECT_EQ(ask(http_read, {}, opened.answer.x, 100).answer.status, 1);
    EXPECT_EQ(ask(http_handle, request("GET", "http://a.example/")).next, Next::denied);
    EXPECT_EQ(ask(http_handle, request("PUT", "http://127.1/")).answer.status, 4);
}

TEST_F(ComponentGateTest, ARevokedGrantEndsRequestsThatAreUnderWay) {
    grant(Capability::net_fetch);
    begin();
    const auto opened = ask(http_handle, request("GET", "http://a.example/"));
    ASSERT_EQ(opened.answer.status, 0);
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, component_pending);
    setup_->grants.revoke(Capability::net_fetch);
    denials_.told.clear();
    EXPECT_EQ(ask(http_head, {}, opened.answer.x).answer.status, 2);
    EXPECT_EQ(denials_.told.size(), 1u);
    EXPECT_EQ(ask(http_handle, request("GET", "http://a.example/")).next, Next::denied);
}

TEST_F(ComponentGateTest, WhatWasRecordedIsServedWithEverythingCut) {
    for (const auto capability : {Capability::fs_read, Capability::net_fetch, Capability::time_now, Capability::random_secure}) grant(capability);
    const auto journal_file = folder_.path() / "call.bj";
    const auto script = [&] {
        std::string seen;
        const auto note = [&](const Answered& got) { seen += format("{} {} {} {} {}\n", static_cast<int>(got.next), got.answer.status, got.answer.x, got.answer.y, got.bytes); };
        note(ask(wall_now));
        note(ask(secure_random, {}, 0, 16));
        note(ask(environment));
        note(ask(file_preopens));
        const auto opened = ask(file_open, "a.txt", 1, 1 << 4);
        note(opened);
        note(ask(file_read, {}, opened.answer.x, 0, 100));
        note(ask(file_open, "b.txt", 1, 1 | 1 << 5));
        const auto sent = ask(http_handle, request("GET", "http://a.example/"));
        note(sent);
        for (int i = 0; i < 3; ++i) note(ask(http_head, {}, sent.answer.x));
        note(ask(http_read, {}, sent.answer.x, 100));
        note(ask(http_handle, request("POST", "http://a.example/")));
        note(ask(insecure_random, {}, 0, 4));
        return seen;
    };
    CallMode mode;
    mode.record = journal_file;
    begin();
    std::string first;
    {
        RecordTape tape(*program_, mode, 0);
        begin(&tape);
        first = script();
        gate_.reset();
        Outcome outcome;
        tape.end(outcome, {});
        ASSERT_FALSE(outcome.error) << outcome.error->message();
    }
    EXPECT_THAT(first, ::testing::HasSubstr("content"));
    EXPECT_THAT(first, ::testing::HasSubstr("GET http://a.example/"));
    const auto opened = network_.opened;
    std::filesystem::remove(folder_.path() / "a.txt");
    variables_.clear();
    policy_.grants.clear();
    const auto journal = Journal::read(journal_file);
    ASSERT_TRUE(journal) << journal.error().message();
    ReplayTape tape(*journal, {}, nullptr);
    begin(&tape);
    EXPECT_EQ(script(), first);
    gate_.reset();
    Outcome outcome;
    tape.end(outcome, {});
    EXPECT_FALSE(outcome.error) << outcome.error->message();
    EXPECT_EQ(network_.opened, opened);

    ReplayTape other(*journal, {}, nullptr);
    begin(&other);
    ask(wall_now);
    EXPECT_EQ(ask(secure_random, {}, 0, 17).next, Next::ends);
    EXPECT_EQ(gate_->failure()->code(), Code::replay_diverged);
    gate_.reset();
}

TEST_F(ComponentGateTest, ACallThatIsTakenUpHasItsMountsAndNothingElseThatWasOpen) {
    grant(Capability::fs_read);
    CallMode mode;
    mode.record = folder_.path() / "call.bj";
    mode.durable = true;
    std::uint64_t held = 0, closed = 0;
    const auto first_part = [&] {
        ask(file_preopens);
        closed = ask(file_open, "a.txt", 1, 1 << 4).answer.x;
        EXPECT_EQ(ask(file_read, {}, closed, 0, 100).bytes, "content");
        EXPECT_EQ(ask(file_close, {}, closed).answer.status, 0);
        held = ask(file_open, "a.txt", 1, 1 << 4).answer.x;
        EXPECT_EQ(ask(stdout_write, "told ").answer.status, 0);
    };
    begin();
    {
        RecordTape tape(*program_, mode, 0);
        begin(&tape);
        first_part();
        gate_.reset();  // and the host ends
    }
    EXPECT_EQ(output_.take(), "told ");
    std::filesystem::rename(folder_.path() / "a.txt", folder_.path() / "b.txt");
    const auto journal = Journal::read(mode.record);
    ASSERT_TRUE(journal) << journal.error().message();
    const CallStreams streams{input_, output_, output_};
    RecordTape tape(*program_, mode, 0, nullptr, &*journal, &streams);
    begin(&tape);
    first_part();
    EXPECT_EQ(output_.text(), "told ") << "what it said is there again";
    const auto other = ask(file_open, "b.txt", 1, 1 << 4);
    ASSERT_EQ(other.answer.status, 0) << "the mount is open";
    EXPECT_GT(other.answer.x, held) << "no number is given out twice";
    EXPECT_EQ(ask(file_read, {}, other.answer.x, 0, 100).bytes, "content");
    EXPECT_EQ(ask(file_read, {}, held, 0, 100).next, Next::ends);
    ASSERT_TRUE(gate_->failure());
    EXPECT_EQ(gate_->failure()->code(), Code::host_restarted);
    gate_.reset();
}

}  // namespace
}  // namespace berth::component_gate_test
