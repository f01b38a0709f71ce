#include "berth/runtime/policy_suggest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/host/host_function.hpp"
#include "berth/host/record_host_calls.hpp"
#include "berth/runtime/component_functions.hpp"

namespace berth {
namespace {

/// Writes a journal of a component as its gate does.
class RecordedRevocations : public ::testing::Test {
protected:
    RecordedRevocations() {
        auto opening = JournalEntry::of(JournalKind::open);
        opening.open = JournalOpen{.world = "component", .entry = "_start", .fuel_schedule = "berth-fuel-1"};
        EXPECT_TRUE(writer_->append(opening));
    }
    const HostFunction& row(std::string_view capability) {
        const auto wanted = capabilities_named(capability).front().capability;
        for (std::uint32_t i = 0; i < component_table().size(); ++i) {
            if (component_table()[i].row.needs.checked_by_gate() && component_table()[i].row.needs.capability() == wanted) return component_table()[at_ = i];
        }
        ADD_FAILURE() << "no function needs " << capability;
        return component_table()[0];
    }
    /// An operation with such an outcome, behind which `revoked` is taken away.
    void operation(std::string_view capability, OutcomeKind kind) {
        const auto& function = row(capability);
        ByteView none;
        recorder_.before(component_table().qualified(at_), function, {}, none);
        Bytes outcome;
        JournalPut put(outcome);
        put.plain(kind);
        if (kind == OutcomeKind::ended) {
            put.text("capability_denied");
            put.text("");
        }
        recorder_.after(function, outcome);
        recorder_.seen(function);
    }
    void refused(std::string_view capability) {
        row(capability);
        recorder_.refused(component_table().qualified(at_), capabilities_named(capability).front().capability);
    }
    void asked_for(std::string_view scope, bool allowed) {
        ByteView none;
        const auto& function = component_table()[0];
        recorder_.before("some.function", function, {}, none);
        recorder_.used(Capability::fs_read, scope, allowed);
        Bytes outcome;
        JournalPut(outcome).plain(OutcomeKind::answered);
        recorder_.after(function, outcome);
        recorder_.seen(function);
    }
    void revoke(Capability capability) { recorder_.revoked(capability); }
    /// Every refused use: operation, capability, and behind which operation it was revoked (-1: it was not).
    std::vector<std::string> refusals() {
        const auto journal = Journal::parse(writer_->buffer(), writer_->blocks());
        EXPECT_TRUE(journal);
        const auto uses = recorded_uses(*journal, component_table());
        EXPECT_TRUE(uses);
        std::vector<std::string> all;
        for (const auto& use : *uses) {
            if (!use.allowed) all.push_back(std::to_string(use.operation) + " " + std::string(name(use.capability)) + " " + (use.revoked ? std::to_string(*use.revoked) : "-"));
        }
        return all;
    }

    std::unique_ptr<JournalWriter> writer_ = JournalWriter::in_memory();
    HostCallRecorder recorder_{*writer_};
    std::uint32_t at_ = 0;
};

using ::testing::ElementsAre;

TEST_F(RecordedRevocations, WhatIsRefusedBehindOneIsToldFromWhatWasNeverGranted) {
    refused("random.secure");
    operation("time.now", OutcomeKind::answered);
    revoke(Capability::time_now);
    refused("time.now");
    refused("random.secure");
    EXPECT_THAT(refusals(), ElementsAre("1 random.secure -", "3 time.now 2", "4 random.secure -"));
    const auto all = recorded_revocations(*Journal::parse(writer_->buffer(), writer_->blocks()));
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 1U);
    EXPECT_EQ(all->front().capability, Capability::time_now);
    EXPECT_EQ(all->front().behind, 2U);
}

TEST_F(RecordedRevocations, AnOperationWhoseGrantWentMeanwhileIsRefused) {
    operation("time.now", OutcomeKind::revoked);
    revoke(Capability::time_now);
    EXPECT_THAT(refusals(), ElementsAre("1 time.now 1"));
}

TEST_F(RecordedRevocations, AnOperationThatEndedTheCallIsRefusedByWhatWasTakenFromIt) {
    operation("time.now", OutcomeKind::ended);
    revoke(Capability::fs_read);
    revoke(Capability::time_now);
    EXPECT_THAT(refusals(), ElementsAre("1 time.now 1"));
}

TEST_F(RecordedRevocations, BeforeTheFirstOperationEverythingIsRefused) {
    revoke(Capability::time_now);
    refused("time.now");
    EXPECT_THAT(refusals(), ElementsAre("1 time.now 0"));
}

TEST_F(RecordedRevocations, AScopeThatWasNotGrantedIsNoneThatWasTakenAwayLater) {
    asked_for("data/b", false);
    revoke(Capability::fs_read);
    asked_for("data/a", false);
    asked_for("", false);
    EXPECT_THAT(refusals(), ElementsAre("1 fs.read -", "2 fs.read 1", "3 fs.read 1"));
}

TEST_F(RecordedRevocations, ACapabilityThatIsNoneIsInvalid) {
    auto entry = JournalEntry::of(JournalKind::revoke);
    entry.capability = "no.such";
    ASSERT_TRUE(writer_->append(entry));
    const auto journal = Journal::parse(writer_->buffer(), writer_->blocks());
    ASSERT_TRUE(journal);
    EXPECT_EQ(recorded_revocations(*journal).error().code(), Code::journal_invalid);
    EXPECT_EQ(recorded_uses(*journal, component_table()).error().code(), Code::journal_invalid);
}

}  // namespace
}  // namespace berth
