#include "berth/app/config.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>

#include <fstream>

namespace berth {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ConfigFiles : public ::testing::Test {
protected:
    ConfigFiles() { fs::create_directories(folder_ / "mounted"); }
    fs::path write(const std::string& name, std::string_view text) const { return folder_.write(name, text); }
    testing::TempDir folder_;
};

TEST_F(ConfigFiles, TheStrongestSourceWinsAndTheNextWhenItIsGone) {
    ConfigInput input;
    input.flags = {{"server.port", "1"}};
    input.flag_names = {{"server.port", "--port"}};
    write("mounted/server.port", "2\n");
    input.directories = {folder_ / "mounted"};
    input.environment = {{"BERTH_SERVER_PORT", "3"}, {"PORT", "4"}};
    input.project_file = write("berth.yaml", "server:\n  port: 5\n");
    input.user_file = write("user.yaml", "server: {port: 6}\n");
    const std::pair<std::string, std::string> expected[] = {{"1", "flag --port"}, {"2", "file " + (folder_ / "mounted/server.port").string()}, {"3", "env BERTH_SERVER_PORT"},
                                                            {"4", "env PORT"},   {"5", "berth.yaml:2"},                                          {"6", "user.yaml:1"},
                                                            {"8080", "default"}};
    for (std::size_t i = 0; i < std::size(expected); ++i) {
        const auto config = Config::load(input);
        ASSERT_TRUE(config) << config.error().message();
        EXPECT_EQ(config->value("server.port"), expected[i].first);
        EXPECT_EQ(config->all("server.port").front().source, expected[i].second);
        EXPECT_EQ(config->all("server.port").size(), std::size(expected) - i);
        switch (i) {
            case 0: input.flags.clear(); break;
            case 1: input.directories.clear(); break;
            case 2: input.environment.erase("BERTH_SERVER_PORT"); break;
            case 3: input.environment.clear(); break;
            case 4: input.project_file.clear(); break;
            default: input.user_file.clear();
        }
    }
}

TEST_F(ConfigFiles, EveryProblemIsListedWithPlaceAndNearestKey) {
    ConfigInput input;
    input.environment = {{"PORT", "nonsense"}};
    input.project_file = write("berth.yaml", "servr: {port: 1}\nserver:\n  grace: 10\nlog: {level: loud}\npolicies:\n  - {policy: 2}\n");
    const auto config = Config::load(input);
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().code(), Code::config_error);
    for (const auto* part : {"PORT: server.port: \"nonsense\" is no port", "berth.yaml:1:9: unknown key \"servr.port\"; did you mean server.port?", "server.grace: \"10\" is no duration", "\"loud\" is no log level", "policy: 1"}) {
        EXPECT_THAT(config.error().message(), HasSubstr(part));
    }
}

TEST_F(ConfigFiles, FlagsMayBeWrittenOnAndOff) {
    ConfigInput input;
    input.environment = {{"BERTH_ENGINE_RESTORE", "off"}};
    auto config = Config::load(input);
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->value("engine.restore"), "false");
    input.project_file = write("berth.yaml", "engine: {restore: on}\n");
    input.environment.clear();
    config = Config::load(input);
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->value("engine.restore"), "true");
    input.flags = {{"engine.restore", "perhaps"}};
    const auto refused = Config::load(input);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("is not true, false, on or off"));
}

TEST_F(ConfigFiles, OtherFormatsDuplicatesAndTagsAreRefused) {
    for (const auto* text : {"[server]\nport = 1\n", "server: {port: 1}\nserver: {port: 2}\n", "server: !x {port: 1}\n", "- a\n", "server: {port: [1]}\n"}) {
        ConfigInput input;
        input.project_file = write("berth.yaml", text);
        const auto config = Config::load(input);
        EXPECT_FALSE(config) << text;
        EXPECT_TRUE(config || config.error().code() == Code::config_error) << text;
    }
}

TEST_F(ConfigFiles, LimitsOfAWorldAndPlatformsInFront) {
    ConfigInput input;
    input.environment = {{"K_SERVICE", "x"}};
    input.project_file = write("berth.yaml", "limits: {wasi: {fuel: 7, wall: 2s}}\n");
    const auto config = Config::load(input);
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->limits("wasi")[Limit::fuel], 7u);
    EXPECT_EQ(config->limits("wasi")[Limit::wall], 2'000'000'000u);
    EXPECT_FALSE(config->limits("bare").bounds(Limit::fuel));
    EXPECT_EQ(config->value("server.host"), "0.0.0.0");
}

}  // namespace
}  // namespace berth
