#include "berth/runtime/execution_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/runtime/execution_records.hpp"
#include "berth/runtime/function.hpp"
#include "berth/storage/memory_store.hpp"
#include "berth/storage/sqlite_store.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExecutionStoreTest : public ::testing::Test {
protected:
    std::unique_ptr<ExecutionStore> open() {
        return ExecutionStore::open({.store = keys_, .clock = clock_, .log = log_, .metrics = metrics_, .retention = std::chrono::hours(24), .batch = std::chrono::milliseconds(0)}).value();
    }
    Call call(std::string input = "{}") {
        Call made;
        made.id = uuid_v7(clock_.wall(), made_, made_ * 40503);
        ++made_;
        made.request_id = "asked";
        made.function = "f";
        made.input = {std::move(input), "application/json"};
        made.trigger = Trigger::http;
        return made;
    }
    template <class T>
    T wait(Task<T> task) {
        return sync_wait(run_on(reactors_->at(0), std::move(task)));
    }
    /// A call of `function` from its arrival to its end.
    static void run(ExecutionRecords& records, Call& one, const Function& function, const Outcome& outcome = {}) {
        begin(records, one, function);
        records.step(CallStep::finished, one, &outcome);
    }
    static void begin(ExecutionRecords& records, Call& one, const Function& function) {
        records.step(CallStep::received, one, nullptr);
        one.admitted = &function;
        records.step(CallStep::started, one, nullptr);
    }
    static std::vector<std::string> ids(const std::vector<ExecutionRecord>& records) {
        std::vector<std::string> all;
        for (const auto& record : records) all.push_back(record.id);
        return all;
    }
    static bool none(std::string_view) { return false; }

    FakeClock clock_;
    MetricRegistry metrics_;
    Log log_{LogLevel::error, clock_, [](std::string_view) {}};
    MemoryStore keys_;
    std::unique_ptr<Reactors> reactors_ = Reactors::start(1);
    std::uint64_t made_ = 0;
};

TEST_F(ExecutionStoreTest, InputsAndOutputsInRecordsHaveNoSecretAndStayJson) {
    Redactor redactor;
    redactor.add("KEY", "QJXWQXJWQQWJ");
    redactor.add("PIN", "73196482");
    ExecutionRecords records(clock_, true, nullptr, &redactor);
    const auto record_of = [&](std::string input, std::string output, bool waited_for) {
        const auto made = call(std::move(input));
        CancelSource cancel;
        if (!waited_for) records.add_pending(records.pending(made), cancel);
        records.step(CallStep::received, made, nullptr);
        records.step(CallStep::started, made, nullptr);
        Outcome outcome;
        outcome.output = {std::move(output), "application/json"};
        records.step(CallStep::finished, made, &outcome);
        return *records.find(made.id);
    };
    const auto both = record_of(R"({"k":"QJXWQXJWQQWJ"})", R"(["QJXWQXJWQQWJ"])", true);
    EXPECT_EQ(both.input, R"({"k":"[redacted:KEY]"})");
    EXPECT_EQ(both.output, R"(["[redacted:KEY]"])");
    const auto number = record_of("{}", R"({"n":73196482})", true);
    EXPECT_EQ(number.output, R"({"hidden":"{\"n\":[redacted:PIN]}"})");
    for (std::size_t before = 0; before <= 12; ++before) {
        const auto cut = record_of("{}", "\"" + std::string((64 << 10) - 1 - before, 'a') + "QJXWQXJWQQWJ\"", true);
        EXPECT_EQ(cut.output.find_first_of("QJXW"), std::string::npos) << before;
        EXPECT_TRUE(check_json(cut.output)) << before;
    }
    // Who does not wait for an output takes it from the record.
    EXPECT_EQ(record_of(R"({"k":"QJXWQXJWQQWJ"})", R"(["QJXWQXJWQQWJ"])", false).output, R"(["QJXWQXJWQQWJ"])");
}

TEST_F(ExecutionStoreTest, WhatACallWasRefusedIsInItsRecordForTheAdministratorWithoutSecrets) {
    Redactor redactor;
    redactor.add("KEY", "QJXWQXJWQQWJ");
    ExecutionRecords records(clock_, true, nullptr, &redactor, 16);
    const auto made = call();
    records.step(CallStep::received, made, nullptr);
    EXPECT_EQ(to_json(*records.find(made.id), RecordReader::administrator).find("refused"), std::string::npos) << "it is not known yet";
    records.step(CallStep::started, made, nullptr);
    Outcome outcome;
    outcome.refused.emplace().kinds.push_back({"wasi", "path_open", {Capability::fs_read, "data/QJXWQXJWQQWJ", "p.yaml:1", R"(grants: {fs.read: {paths: ["data/QJXWQXJWQQWJ"]}})"}});
    records.step(CallStep::finished, made, &outcome);
    const auto record = *records.find(made.id);
    EXPECT_THAT(to_json(record, RecordReader::administrator), HasSubstr(R"("refused":[{"world":"wasi","function":"path_open","capability":"fs.read","scope":"data/[redacted:KEY]","rule":"p.yaml:1","fix":")"));
    EXPECT_EQ(to_json(record, RecordReader::administrator).find("QJXW"), std::string::npos);
    EXPECT_EQ(to_json(record, RecordReader::caller).find("refused"), std::string::npos);
    // The place of a forgotten call is used again, and nothing of it stays.
    for (int i = 0; i < 1'000; ++i) {
        const auto other = call();
        records.step(CallStep::received, other, nullptr);
        const Outcome plain;
        records.step(CallStep::finished, other, &plain);
        ASSERT_FALSE(records.find(other.id)->refused);
    }
    EXPECT_FALSE(records.find(made.id));
}

TEST_F(ExecutionStoreTest, AnAcceptedCallIsThereAfterARestartAndIsGivenOutOnce) {
    ExecutionRecords records(clock_, true);
    std::string id;
    {
        const auto store = open();
        auto made = call(R"({"n":1.10})");
        made.deadline = clock_.steady() + std::chrono::seconds(60);
        auto subject = std::make_shared<AuthSubject>();
        *subject = {"u1", "u@example.com", true, "editor", R"({"team":1})"};
        made.auth = subject;
        made.trace_parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
        id = made.id;
        ASSERT_TRUE(wait(store->accept(made, records.pending(made))));
    }
    clock_.advance(std::chrono::seconds(10));
    const auto store = open();
    EXPECT_THAT(store->left_over(), ElementsAre(id));
    EXPECT_EQ(store->find(id).value()->status, ExecutionRecord::Status::pending);
    const auto begun = wait(store->load(id)).value();
    ASSERT_TRUE(begun);
    EXPECT_EQ(store->find(id).value()->status, ExecutionRecord::Status::pending);
    ASSERT_TRUE(wait(store->begin(id, false)));
    EXPECT_EQ(begun->input.bytes, R"({"n":1.10})");
    EXPECT_EQ(begun->function, "f");
    EXPECT_EQ(begun->request_id, "asked");
    EXPECT_EQ(begun->trigger, Trigger::http);
    EXPECT_EQ(begun->trace_parent, "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
    EXPECT_EQ(*begun->deadline - clock_.steady(), std::chrono::seconds(50));
    ASSERT_TRUE(begun->auth);
    EXPECT_EQ(begun->auth->role, "editor");
    EXPECT_EQ(begun->auth->metadata, R"({"team":1})");
    EXPECT_EQ(store->find(id).value()->status, ExecutionRecord::Status::running);
    EXPECT_FALSE(wait(store->load(id)).value());
    EXPECT_EQ(wait(store->begin(id, false)).error().code(), Code::conflict);
}

TEST_F(ExecutionStoreTest, ALargeInputIsStoredInPartsAndLeavesNone) {
    ExecutionRecords records(clock_, false);
    const auto store = open();
    std::string input = "{\"x\":\"";
    for (int i = 0; input.size() < (9u << 20); ++i) input += format("{:08}", i);
    input += "\"}";
    const auto made = call(input);
    ASSERT_TRUE(wait(store->accept(made, records.pending(made))));
    EXPECT_EQ(wait(store->load(made.id)).value()->input.bytes, input);
    ASSERT_TRUE(wait(store->begin(made.id, false)));
    std::size_t left = 0;
    const auto look = keys_.begin(StoreAccess::read).value();
    ASSERT_TRUE(look->walk(as_bytes("fn/call/"), as_bytes("fn/call0"), [&](ByteView, ByteView) { return ++left != 0; }));
    EXPECT_EQ(left, 0u);
}

TEST_F(ExecutionStoreTest, WhatRanWhenTheHostEndedHasFailedAndIsNotRunAgain) {
    ExecutionRecords records(clock_, false);
    std::string begun, waits;
    {
        const auto store = open();
        for (auto* id : {&begun, &waits}) {
            const auto made = call();
            *id = made.id;
            ASSERT_TRUE(wait(store->accept(made, records.pending(made))));
        }
        ASSERT_TRUE(wait(store->begin(begun, false)));
    }
    clock_.advance(std::chrono::seconds(7));
    for (int restarts = 0; restarts < 2; ++restarts) {
        const auto store = open();
        EXPECT_THAT(store->left_over(), ElementsAre(waits));
        const auto record = store->find(begun).value();
        ASSERT_TRUE(record);
        EXPECT_EQ(record->status, ExecutionRecord::Status::failed);
        EXPECT_THAT(record->error, HasSubstr(R"("code":"host_restarted")"));
        EXPECT_EQ(record->duration, std::chrono::seconds(7));
        EXPECT_FALSE(wait(store->load(begun)).value());
    }
}

TEST_F(ExecutionStoreTest, ADurableCallIsGivenOutAgainUntilItsEndIsWritten) {
    std::vector<std::string> forgotten;
    const auto open_telling = [&] {
        return ExecutionStore::open({.store = keys_, .clock = clock_, .log = log_, .metrics = metrics_, .batch = std::chrono::milliseconds(0), .forget = [&](std::string_view id) { forgotten.emplace_back(id); }}).value();
    };
    const auto made = call("[1]");
    {
        const auto store = open_telling();
        ExecutionRecords records(clock_, false);
        ASSERT_TRUE(wait(store->accept(made, records.pending(made))));
        ASSERT_TRUE(wait(store->begin(made.id, true)));
    }
    {
        const auto store = open_telling();
        EXPECT_THAT(store->interrupted(), ElementsAre(made.id));
        EXPECT_THAT(store->left_over(), IsEmpty());
        EXPECT_EQ(store->find(made.id).value()->status, ExecutionRecord::Status::running);
        EXPECT_EQ(wait(store->load(made.id)).value()->input.bytes, "[1]");
        EXPECT_EQ(wait(store->begin(made.id, false)).error().code(), Code::host_restarted) << "its function takes no calls up any more";
        ASSERT_TRUE(wait(store->begin(made.id, true)));
    }
    {
        const auto store = open_telling();
        ExecutionRecords records(clock_, false, store.get());
        records.add_pending(*store->find(made.id).value(), CancelSource());
        EXPECT_THAT(forgotten, IsEmpty());
        Outcome outcome;
        records.step(CallStep::received, made, nullptr);
        records.step(CallStep::finished, made, &outcome);
        records.close();
        EXPECT_THAT(forgotten, ElementsAre(made.id));
        EXPECT_EQ(store->find(made.id).value()->status, ExecutionRecord::Status::success);
        EXPECT_FALSE(wait(store->load(made.id)).value());
    }
    EXPECT_THAT(open_telling()->interrupted(), IsEmpty());
}

TEST_F(ExecutionStoreTest, ACallThatEndsWithoutHavingBegunLeavesItsRecordOnly) {
    const auto store = open();
    ExecutionRecords records(clock_, false, store.get());
    const auto made = call();
    auto record = records.pending(made);
    ASSERT_TRUE(wait(store->accept(made, record)));
    records.add_pending(std::move(record), CancelSource());
    records.step(CallStep::received, made, nullptr);
    Outcome outcome;
    outcome.error = Error(Code::cancelled, "it was stopped");
    records.step(CallStep::finished, made, &outcome);
    records.close();
    EXPECT_EQ(store->find(made.id).value()->status, ExecutionRecord::Status::canceled);
    EXPECT_FALSE(wait(store->load(made.id)).value());
    EXPECT_THAT(open()->left_over(), IsEmpty());
}

TEST_F(ExecutionStoreTest, RecordsFollowTheirCallsAndAreFoundByWhatTheyAre) {
    Function program{.name = "f", .engine = EngineKind::subprocess, .version = "v1"};
    Function module{.name = "g", .engine = EngineKind::wasm, .version = "v2"};
    std::vector<std::string> made;
    {
        const auto store = open();
        ExecutionRecords records(clock_, true, store.get());
        for (int i = 0; i < 4; ++i) {
            auto one = call(format("{{\"i\":{}}}", i));
            one.function = i == 3 ? "g" : "f";
            made.push_back(one.id);
            Outcome outcome;
            outcome.output = {"1.10", "application/json"};
            outcome.logs.push_back({"warn", "said", R"({"a":1})", "2026-01-01T00:00:00Z"});
            outcome.exit = ExitInfo{.status = i, .signal = 0};
            if (i == 1) outcome.error = Error(Code::exit_nonzero, "it failed");
            if (i == 2) begin(records, one, program);
            else run(records, one, i == 3 ? module : program, outcome);
            clock_.advance(std::chrono::milliseconds(5));
        }
    }
    const auto store = open();
    // The module's call is in memory only; the one that ran is known to have run.
    EXPECT_THAT(ids(store->list({}, none).value()), ElementsAre(made[2], made[1], made[0]));
    EXPECT_THAT(ids(store->list({.function = "f", .limit = 2}, none).value()), ElementsAre(made[2], made[1]));
    EXPECT_THAT(ids(store->list({.status = "failed"}, none).value()), ElementsAre(made[2], made[1]));
    EXPECT_THAT(ids(store->list({.function = "g"}, none).value()), IsEmpty());
    EXPECT_THAT(ids(store->list({.trigger = "cli"}, none).value()), IsEmpty());
    EXPECT_THAT(store->find(made[2]).value()->error, HasSubstr("host_restarted"));
    const auto whole = store->find(made[0]).value();
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->version, "v1");
    EXPECT_EQ(whole->input, R"({"i":0})");
    EXPECT_EQ(whole->output, "1.10");
    ASSERT_EQ(whole->logs.size(), 1u);
    EXPECT_EQ(whole->logs[0].entry.data, R"({"a":1})");
    EXPECT_EQ(store->find(made[1]).value()->exit->status, 1);

    // A host that runs shows both: what it remembers itself and what came before it.
    ExecutionRecords records(clock_, true, store.get());
    auto now = call();
    records.step(CallStep::received, now, nullptr);
    EXPECT_THAT(ids(records.list({})), ElementsAre(now.id, made[2], made[1], made[0]));
    EXPECT_THAT(ids(records.list({.limit = 2, .offset = 1})), ElementsAre(made[2], made[1]));
    EXPECT_TRUE(records.find(made[0]));
    EXPECT_THAT(ids(records.recent({})), ElementsAre(now.id));
}

TEST_F(ExecutionStoreTest, OldRecordsGoAndYoungOnesStay) {
    Function program{.name = "f", .engine = EngineKind::subprocess};
    const auto run_one = [&](ExecutionRecords& records) {
        auto one = call();
        run(records, one, program);
        return one.id;
    };
    std::string young;
    {
        const auto store = open();
        ExecutionRecords records(clock_, false, store.get());
        for (int i = 0; i < 1200; ++i) run_one(records);
        clock_.advance(std::chrono::hours(23));
        young = run_one(records);
    }
    clock_.advance(std::chrono::hours(2));
    { const auto store = open(); }  // its thread looks once before it ends
    const auto store = open();
    EXPECT_THAT(ids(store->list({.limit = 10'000}, none).value()), ElementsAre(young));
    EXPECT_THAT(ids(store->list({.function = "f", .limit = 10'000}, none).value()), ElementsAre(young));
}

TEST_F(ExecutionStoreTest, RecordsAreNotLostWhileTheStoreFails) {
    /// Refuses to be written to until told otherwise.
    class Failing final : public KeyValueStore {
    public:
        explicit Failing(KeyValueStore& to) : to_(to) {}
        Result<std::unique_ptr<StoreTransaction>> begin(StoreAccess access) override {
            if (access == StoreAccess::write && fails) return fail(Code::storage_error, "the medium is full");
            return to_.begin(access);
        }
        std::atomic<bool> fails{false};

    private:
        KeyValueStore& to_;
    };
    Failing failing(keys_);
    auto store = ExecutionStore::open({.store = failing, .clock = clock_, .log = log_, .metrics = metrics_, .batch = std::chrono::milliseconds(0)}).value();
    Function program{.name = "f", .engine = EngineKind::subprocess};
    ExecutionRecords records(clock_, false, store.get());
    failing.fails = true;
    auto one = call();
    run(records, one, program);
    const auto refused = call();
    const auto accepted = wait(store->accept(refused, records.pending(refused)));
    ASSERT_FALSE(accepted);
    EXPECT_EQ(accepted.error().code(), Code::storage_error);
    EXPECT_TRUE(records.find(one.id));
    failing.fails = false;
    records.close();
    EXPECT_EQ(store->find(one.id).value()->status, ExecutionRecord::Status::success);
    EXPECT_FALSE(store->find(refused.id).value());
}

TEST_F(ExecutionStoreTest, TheOldestAreForgottenWhateverIsKeptOfThem) {
    constexpr std::size_t kept = 64;  // four in each of the shards, which the end of an id chooses
    ExecutionRecords records(clock_, false, nullptr, nullptr, kept);
    const Function function{.name = "f", .engine = EngineKind::wasm, .version = "v1"};
    std::vector<std::string> ids, failed;
    for (int i = 0; i < 500; ++i) {
        auto made = call();
        Outcome outcome;
        outcome.usage.fuel = static_cast<std::uint64_t>(i);
        if (i % 3 == 0) outcome.error = Error(Code::trap, format("number {}", i));
        run(records, made, function, outcome);
        ids.push_back(made.id);
    }
    const auto found = records.list({.limit = 1000});
    EXPECT_LE(found.size(), kept);
    EXPECT_GE(found.size(), kept / 2);
    for (const auto& record : found) {
        const auto number = static_cast<std::size_t>(std::find(ids.begin(), ids.end(), record.id) - ids.begin());
        ASSERT_LT(number, ids.size());
        EXPECT_EQ(record.usage.fuel, number);
        EXPECT_EQ(record.function, "f");
        EXPECT_EQ(record.version, "v1");
        EXPECT_EQ(record.status, number % 3 == 0 ? ExecutionRecord::Status::failed : ExecutionRecord::Status::success);
        EXPECT_EQ(record.error.find(format("number {}", number)) != std::string::npos, number % 3 == 0);
        EXPECT_EQ(stored_record(*records.find(record.id)), stored_record(record));
    }
    EXPECT_TRUE(records.find(ids.back()));
    EXPECT_FALSE(records.find(ids.front()));
}

TEST_F(ExecutionStoreTest, ADamagedRecordIsAnErrorOfItsOwnCallOnly) {
    ExecutionRecords records(clock_, false);
    const auto store = open();
    const auto good = call(), bad = call();
    ASSERT_TRUE(wait(store->accept(good, records.pending(good))));
    ASSERT_TRUE(wait(store->accept(bad, records.pending(bad))));
    ASSERT_TRUE(keys_.put(as_bytes("fn/call/" + bad.id), as_bytes("{\"id\":7}")));
    const auto refused = wait(store->load(bad.id));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::storage_error);
    EXPECT_TRUE(wait(store->load(good.id)).value());
}

TEST_F(ExecutionStoreTest, SeveralCallsShareACommitInOneFile) {
    const testing::TempDir folder;
    const auto file = SqliteStore::open(folder / "berth.db").value();
    const auto store = ExecutionStore::open({.store = *file, .clock = clock_, .log = log_, .metrics = metrics_}).value();
    ExecutionRecords records(clock_, false, store.get());
    std::vector<Call> calls;
    for (int i = 0; i < 20; ++i) calls.push_back(call());
    wait([](ExecutionStore& into, ExecutionRecords& of, std::vector<Call>& all) -> Task<bool> {
        for (const auto& one : all) {
            const auto record = of.pending(one);
            EXPECT_TRUE(co_await into.accept(one, record));
        }
        co_return true;
    }(*store, records, calls));
    EXPECT_EQ(store->list({.status = "pending"}, none).value().size(), 20u);
    EXPECT_TRUE(wait(store->begin(calls[3].id, false)));
    EXPECT_EQ(store->list({.status = "running"}, none).value().size(), 1u);
}

TEST(StoredRecords, WhatCannotBeReadIsAnErrorWhereverItIsCut) {
    ExecutionRecord record{.id = "0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4", .function = "f", .request_id = "r", .version = "v", .trigger = "http", .subject = "u1", .status = ExecutionRecord::Status::failed,
                           .started = WallTime(std::chrono::seconds(1)), .completed = WallTime(std::chrono::seconds(2)), .duration = std::chrono::seconds(1), .input = "{}", .output = "[1]", .error = R"({"code":"x"})",
                           .logs = {{WallTime(std::chrono::seconds(3)), 1, "stderr", {"info", "a", "{}", ""}}}, .logs_cut = true, .exit = ExitInfo{.status = 3, .signal = 0}, .usage = {},
                           .refused = Refusals{.kinds = {{"wasi", "path_open", {Capability::fs_read, "data/a", "p.yaml:1", "grants: {}"}}}, .cut = true}};
    const auto text = stored_record(record);
    EXPECT_EQ(stored_record(read_stored_record(text).value()), text);
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto other = read_stored_record(std::string_view(text).substr(0, at));
        ASSERT_FALSE(other) << at;
        EXPECT_EQ(other.error().code(), Code::storage_error) << at;
    }
    EXPECT_FALSE(read_stored_record(R"({"id":"a","trigger":"http","status":"odd","started_ns":1})"));
    EXPECT_FALSE(read_stored_record(R"({"id":"a","trigger":"http","status":"failed","started_ns":"1"})"));
    EXPECT_FALSE(read_stored_record(R"({"id":"a","trigger":"http","status":"failed","started_ns":99999999999999999999})"));
    EXPECT_TRUE(read_stored_record(R"({"id":"a","trigger":"http","status":"failed","started_ns":1,"later":{}})"));
    EXPECT_FALSE(read_stored_record(R"({"id":"a","trigger":"http","status":"failed","started_ns":1,"refused":{}})"));
    EXPECT_FALSE(read_stored_record(R"({"id":"a","trigger":"http","status":"failed","started_ns":1,"refused":[{"capability":"fs.read","scope":1}]})"));
    // Of a later build: what is not known here was refused all the same.
    const auto later = read_stored_record(R"({"id":"a","trigger":"http","status":"failed","started_ns":1,"refused":[{"capability":"later.thing"}]})");
    ASSERT_TRUE(later && later->refused);
    EXPECT_TRUE(later->refused->kinds.empty() && later->refused->cut);
    EXPECT_FALSE(read_stored_record(R"({"id":"a","trigger":"http","status":"failed","started_ns":1})")->refused);
}

}  // namespace
}  // namespace berth
