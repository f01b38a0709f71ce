#include "berth/app/function_set.hpp"

#include <gmock/gmock.h>

#include "berth/async/reactor.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_application.hpp"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using HalfWritten = FunctionSet::HalfWritten;

class FunctionSetTest : public ::testing::Test {
protected:
    FunctionSetTest() {
        application_ = test::test_application();
        folder_.write("functions/hello/index.py", "pass\n");
        folder_.write("functions/hello/manifest.yaml", "timeout: 5s\n");
        folder_.write("functions/alone.py", "pass\n");
        FunctionSet::Request request;
        request.paths = {folder_.path() / "functions"};
        request.settings = std::move(*FunctionSettings::from(*Config::load({}), *application_));
        request.settings.development = true;
        functions_ = std::move(*FunctionSet::find(*application_, std::move(request), *reactors_, no_progress()));
    }
    ~FunctionSetTest() override { functions_.reset(); }

    FunctionSet::Change look(HalfWritten patience) {
        auto change = functions_->rescan(no_progress(), patience);
        EXPECT_TRUE(change) << change.error().full_message();
        return change ? *change : FunctionSet::Change{};
    }
    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto* engine : functions_->engines()) {
            for (const auto& function : engine->list()) all.push_back(function->name);
        }
        return all;
    }
    std::filesystem::path functions() const { return folder_.path() / "functions"; }

    testing::TempDir folder_;
    std::unique_ptr<Application> application_;
    std::unique_ptr<Reactors> reactors_ = Reactors::start(1);
    std::unique_ptr<FunctionSet> functions_;
};

TEST_F(FunctionSetTest, AnEntryThatIsGoneForAMomentIsBeingSaved) {
    for (const auto* entry : {"hello/index.py", "alone.py"}) {
        std::filesystem::remove(functions() / entry);
        EXPECT_TRUE(look(HalfWritten::wait).half_written) << entry;
        EXPECT_THAT(names(), ElementsAre("alone", "hello")) << entry;
        folder_.write(std::string("functions/") + entry, "pass  # anew\n");
        const auto change = look(HalfWritten::wait);
        EXPECT_FALSE(change.half_written) << entry;
        EXPECT_THAT(change.changed, ElementsAre(std::string_view(entry).starts_with("alone") ? "alone" : "hello"));
        EXPECT_THAT(change.removed, IsEmpty()) << entry;
    }
}

TEST_F(FunctionSetTest, AnEntryThatStaysAwayIsRemoved) {
    std::filesystem::remove(functions() / "alone.py");
    EXPECT_TRUE(look(HalfWritten::wait).half_written);
    const auto change = look(HalfWritten::take);
    EXPECT_FALSE(change.half_written);
    EXPECT_THAT(change.removed, ElementsAre("alone"));
    EXPECT_FALSE(look(HalfWritten::wait).half_written) << "what is removed is not waited for again";
}

TEST_F(FunctionSetTest, AFolderThatIsGoneIsRemovedAtOnce) {
    std::filesystem::remove_all(functions() / "hello");
    const auto change = look(HalfWritten::wait);
    EXPECT_FALSE(change.half_written);
    EXPECT_THAT(change.removed, ElementsAre("hello"));
}

TEST_F(FunctionSetTest, AnEntryOfAnotherLanguageTakesThePlaceOfTheOneBefore) {
    std::filesystem::remove(functions() / "hello/index.py");
    folder_.write("functions/hello/index.rb", "");
    EXPECT_FALSE(look(HalfWritten::wait).half_written);
    EXPECT_THAT(names(), ElementsAre("alone", "hello"));
}

TEST_F(FunctionSetTest, AManifestThatMakesNoSenseYetIsBeingSaved) {
    folder_.write("functions/hello/manifest.yaml", "timeout: [5\n");
    EXPECT_TRUE(look(HalfWritten::wait).half_written);
    EXPECT_THAT(look(HalfWritten::take).invalid, ElementsAre("hello"));
}

}  // namespace
}  // namespace berth
