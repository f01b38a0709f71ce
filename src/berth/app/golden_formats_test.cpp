// Files of formats as an earlier release wrote them: read, and whatever is cut from them is an ordinary error or another
// file of the format, never a crash.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "berth/app/fault_plan.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/runtime/execution_record.hpp"
#include "berth/runtime/file_signature.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/storage/record_log.hpp"
#include "support/source_dir.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

std::string golden(std::string_view name) {
    std::ifstream stream(testing::source_dir() / "tests/golden/formats" / name, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(stream), {});
    EXPECT_FALSE(text.empty()) << name;
    return text;
}

/// Gives `take` the file without each of its bytes in turn, and each beginning of it.
template <class Take>
void cut(const std::string& text, Take take) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        auto without = text;
        without.erase(at, 1);
        take(without, at);
        take(text.substr(0, at), at);
    }
}

TEST(GoldenFormats, SignatureOne) {
    const auto text = golden("signature-1");
    const auto content = golden("signature-1.content");
    const auto read = FileSignature::decode(as_bytes(text)).value();
    EXPECT_EQ(read.kind, SignedKind::module);
    EXPECT_TRUE(read.verify(as_bytes(content)));
    cut(text, [&](const std::string& shorter, std::size_t at) {
        const auto other = FileSignature::decode(as_bytes(shorter));
        ASSERT_FALSE(other && other->verify(as_bytes(content))) << at;
        if (!other) {
            EXPECT_EQ(other.error().code(), Code::signature_invalid) << at;
        }
    });
}

TEST(GoldenFormats, PolicyOne) {
    const auto text = golden("policy-1");
    const auto read = parse_policies(text, "policy-1").value();
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(read[0].grants.size(), 4u);
    EXPECT_EQ(read[0].limits[Limit::memory], std::uint64_t{64} << 20);
    cut(text, [](const std::string& shorter, std::size_t at) {
        const auto other = parse_policies(shorter, "policy-1");
        if (!other) {
            EXPECT_FALSE(other.error().message().empty()) << at;
        }
    });
}

TEST(GoldenFormats, FunctionManifestOne) {
    const auto text = golden("function-manifest-1");
    std::vector<Diagnostic> problems;
    const auto read = read_manifest(text, "function-manifest-1", {}, problems);
    EXPECT_TRUE(problems.empty()) << problems.front().text;
    EXPECT_EQ(read.name, "greet");
    EXPECT_EQ(read.memory, std::uint64_t{128} << 20);
    EXPECT_TRUE(read.receipts);
    cut(text, [](const std::string& shorter, std::size_t at) {
        std::vector<Diagnostic> found;
        static_cast<void>(read_manifest(shorter, "function-manifest-1", {}, found));
        for (const auto& problem : found) EXPECT_FALSE(problem.number.empty()) << at;
    });
}

TEST(GoldenFormats, FaultPlanOne) {
    const auto text = golden("fault-plan-1");
    EXPECT_EQ(FaultPlan::parse(text, "fault-plan-1").value().fuel_cuts, 8u);
    cut(text, [](const std::string& shorter, std::size_t at) {
        const auto other = FaultPlan::parse(shorter, "fault-plan-1");
        if (!other) {
            EXPECT_EQ(other.error().code(), Code::config_error) << at;
        }
    });
}

TEST(GoldenFormats, ExecutionRecordOne) {
    const auto text = golden("execution-record-1");
    const auto read = read_stored_record(text).value();
    EXPECT_EQ(stored_record(read), text);
    EXPECT_EQ(read.status, ExecutionRecord::Status::failed);
    EXPECT_EQ(read.input, R"({"n":1.10})");
    cut(text, [](const std::string& shorter, std::size_t at) {
        const auto other = read_stored_record(shorter);
        if (!other) {
            EXPECT_EQ(other.error().code(), Code::storage_error) << at;
        }
    });
}

TEST(GoldenFormats, RecordLogOne) {
    const auto text = golden("record-log-1");
    const testing::TempDir folder;
    const auto records = [&](const std::string& content) -> Result<std::vector<std::string>> {
        BERTH_TRY(const auto log, RecordLog::open(folder.write("log", content)));
        std::vector<std::string> all;
        BERTH_TRYV(log->read(0, [&](std::uint64_t, ByteView record) {
            all.emplace_back(as_text(record));
            return true;
        }));
        return all;
    };
    const auto whole = records(text).value();
    ASSERT_EQ(whole.size(), 3u);
    EXPECT_EQ(whole[0], "first");
    EXPECT_EQ(whole[2].size(), 256u);
    cut(text, [&](const std::string& shorter, std::size_t at) {
        const auto other = records(shorter);
        if (!other) {
            EXPECT_EQ(other.error().code(), Code::storage_error) << at;
        } else {
            // A torn end is cut off: what is left are records that were there.
            ASSERT_LT(other->size(), 3u) << at;
            for (std::size_t i = 0; i < other->size(); ++i) EXPECT_EQ((*other)[i], whole[i]) << at;
        }
    });
}

}  // namespace
}  // namespace berth
