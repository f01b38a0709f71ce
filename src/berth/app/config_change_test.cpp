#include "berth/app/config_change.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "support/temp_dir.hpp"

namespace berth {
namespace {

Config read(const testing::TempDir& folder, std::string_view text) {
    ConfigInput input;
    input.project_file = folder.write("berth.yaml", text);
    auto config = Config::load(input);
    if (!config) throw std::runtime_error(config.error().message());  // ends the test, with this as its reason
    return std::move(*config);
}

using Keys = std::vector<std::string>;

TEST(ConfigChange, SaysWhatIsTakenOverAndWhatWaits) {
    const testing::TempDir folder;
    const auto before = read(folder, "server: {compress: true, port: 1}\nlimits: {wasi: {fuel: 5}}\n");
    const auto same = config_change(before, read(folder, "# another line\nserver: {port: 1, compress: true}\nlimits: {wasi: {fuel: 5}}\n"));
    EXPECT_TRUE(same.taken.empty() && same.needs_restart.empty());
    const auto change = config_change(before, read(folder, "server: {port: 2, cors: {origins: [https://a.example]}}\nfunctions: {env: {A: b}}\n"));
    EXPECT_EQ(change.taken, (Keys{"server.compress", "server.cors.origins"}));
    EXPECT_EQ(change.needs_restart, (Keys{"server.port", "limits.wasi.fuel", "functions.env"}));
}

TEST(ConfigChange, SectionsAndPoliciesAreComparedByWhatTheySay) {
    const testing::TempDir folder;
    const auto before = read(folder, "functions: {env: {A: b}}\nserver: {auth: {tokens: {}}}\npolicies: [{policy: 1, grants: {log.write: {}}}]\n");
    const auto change = config_change(before, read(folder, "functions: {env: {A: c}}\nserver: {auth: {tokens: {a: " + std::string(64, '0') + "}}}\npolicies: [{policy: 1, grants: {time.now: {}}}]\n"));
    EXPECT_EQ(change.taken, (Keys{"server.auth.tokens", "policies"}));
    EXPECT_EQ(change.needs_restart, (Keys{"functions.env"}));
}

}  // namespace
}  // namespace berth
