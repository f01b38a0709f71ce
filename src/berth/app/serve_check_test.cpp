#include "berth/app/serve_check.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "berth/base/format.hpp"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

class ServeCheck : public ::testing::Test {
protected:
    ServeCheck() : folder_(fs::temp_directory_path() / format("berth-serve-check-{}", ::getpid())) { fs::create_directories(folder_); }
    ~ServeCheck() override { fs::remove_all(folder_); }

    std::vector<ConfigFinding> findings(std::string_view yaml, std::string_view environment = "development") {
        std::ofstream(folder_ / "berth.yaml") << yaml;
        const auto config = Config::load({.flags = {{"environment", std::string(environment)}}, .project_file = folder_ / "berth.yaml"}).value();
        ApplicationOptions options;
        options.folders.cache = options.folders.keys = options.folders.state = folder_ / "state";
        const auto application = Application::create(options).value();
        PolicyRequest request;
        request.written = config.policies();
        for (const auto* world : {"wasi", "bare", "component", "subprocess"}) request.world_limits.emplace(world, config.limits(world));
        request.production = environment == "production";
        return check_for_serving(config, *application, request);
    }
    std::vector<std::string> keys(std::string_view yaml, std::string_view environment = "development") {
        std::vector<std::string> all;
        for (const auto& each : findings(yaml, environment)) all.push_back(each.key);
        return all;
    }
    const fs::path folder_;
};

TEST_F(ServeCheck, DefaultsHaveNoFindingAndNothingIsWritten) {
    EXPECT_THAT(keys("server: {port: 0}\n"), IsEmpty());
    EXPECT_THAT(keys("functions: {records: file}\n"), IsEmpty());
    EXPECT_FALSE(fs::exists(folder_ / "state"));
}

TEST_F(ServeCheck, EveryProblemIsFoundAtOnceByItsKey) {
    EXPECT_THAT(keys("server: {host: nowhere, access_log: 'file:/nowhere/a.log', tls: {cert: /nowhere/c.pem, key: /nowhere/k.pem}, rate: 5/x}\n"
                     "functions: {auth: maybe, env: {ALYX_A: b, C: [1]}, max_call_depth: 65}\n"),
                ElementsAre("server.rate", "functions.max_call_depth", "functions.auth", "functions.env", "functions.env", "server.host", "server.tls.cert", "server.access_log"));
}

TEST_F(ServeCheck, WhatLacksAKeyThatCannotBeReadIsNoFurtherProblem) {
    EXPECT_THAT(keys("server: {auth: {jwks_file: /nowhere/keys.json, issuer: me, algorithms: [RS256]}}\n"), ElementsAre("server.auth.jwks_file"));
    EXPECT_THAT(keys("server: {auth: {issuer: me}}\n"), ElementsAre("server.auth.issuer"));
}

TEST_F(ServeCheck, LimitsThatNothingHoldsAreFoundInPoliciesAndByWorld) {
    const auto found = findings("limits: {wasi: {stack_depth: 99999999}, subprocess: {fuel: 3}}\npolicies: [{policy: 1, limits: {stack_depth: 99999999}, trust: /nowhere/store}]\n");
    ASSERT_EQ(found.size(), 4u);
    EXPECT_EQ(found[0].key, "limits.subprocess.fuel");
    EXPECT_THAT(found[0].fix, HasSubstr("leave it out"));
    EXPECT_EQ(found[1].key, "policies");
    EXPECT_THAT(found[2].message, HasSubstr("/nowhere/store"));
    EXPECT_EQ(found[3].key, "limits.wasi.stack_depth");
    EXPECT_EQ(found[3].source, "berth.yaml:1");
}

TEST_F(ServeCheck, ProductionTellsAllItsReasons) {
    fs::create_directories(folder_ / "functions");
    std::ofstream(folder_ / "functions/add.wat") << "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))) (func (export \"_start\")))";
    const auto yaml = format("server: {{expose_errors: true}}\nfunctions: {{path: {}, records: memory}}\nlimits: {{wasi: {{memory: none}}}}\n", (folder_ / "functions").string());
    EXPECT_THAT(keys(yaml), IsEmpty());
    EXPECT_THAT(keys(yaml, "production"), ElementsAre("server.expose_errors", "functions.records", "policies", "environment"));
}

TEST_F(ServeCheck, AnAdministratorsListenerForOthersNeedsOne) {
    EXPECT_THAT(keys("admin: {listen: '0.0.0.0:9'}\n"), ElementsAre("admin.listen"));
    EXPECT_THAT(keys("admin: {listen: '127.0.0.1:9'}\n"), IsEmpty());
}

TEST_F(ServeCheck, AFolderThatIsNotThereIsToldAndNoProblem) {
    const auto found = findings("functions: {path: /nowhere/functions}\n");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].level, ConfigFinding::Level::note);
    EXPECT_EQ(found[0].key, "functions.path");
}

}  // namespace
}  // namespace berth
