#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "berth/engine/module.hpp"
#include "berth/engine/module_info.hpp"
#include "berth_native/testing.h"

namespace berth::spec {

/// One way of running the tests. All run every command side by side.
struct Lane {
    std::string_view name;
    bool metered = false;
    bool exact_depth = false;
    bool oracle = false;  // the engine counts
};
inline constexpr Lane lanes[] = {{.name = "plain"}, {.name = "counted by the engine", .oracle = true}, {.name = "metered", .metered = true},
                                 {.name = "metered with exact depth", .metered = true, .exact_depth = true}};
inline constexpr std::size_t lane_count = std::size(lanes);

struct Counts {
    std::uint64_t passed = 0;
    std::uint64_t failed = 0;
    std::uint64_t fuel_compared = 0;  // invocations that returned, their totals equal in all lanes that count
    std::uint64_t text = 0;           // assertions about the text format alone
};

/// Runs command lists (see rust/berth-native/tools/spec_convert) through Berth's own loader: section reader, the pass or
/// not, engine.
class Runner {
public:
    static Result<std::unique_ptr<Runner>> create();

    /// Runs one list and returns nothing; or the reason, beginning with a proposal's name, why it is skipped. Failures
    /// are printed as they happen.
    Result<std::string> run(const std::filesystem::path& list);

    const Counts& counts() const noexcept { return counts_; }

private:
    using Words = std::vector<std::string_view>;
    using Store = std::unique_ptr<berth_test_store, void (*)(berth_test_store*)>;
    struct Ended {
        std::uint32_t outcome = BERTH_NOT_STARTED;
        std::uint32_t trap = BERTH_TRAP_NONE;
    };
    struct Call {
        Ended ended;
        std::vector<berth_test_value> results;
        std::uint64_t fuel = 0;
    };
    using Modules = std::vector<std::shared_ptr<Module>>;  // by lane

    Result<> start_file();
    Result<std::string> needed_proposal(const std::vector<Words>& commands) const;
    Result<Bytes> read(std::string_view file) const;
    Result<Modules> load(const Bytes& wasm) const;
    std::vector<Ended> instantiate(const Modules& modules, std::uint32_t& instance);

    Result<> command(const Words& words);
    Result<> define(const Words& words, bool now);
    Result<> place(const Modules& modules, std::string_view name);
    Result<> must_be_refused(const Words& words);
    Result<> must_not_link(const Words& words);
    Result<> must_trap_at_start(const Words& words);
    Result<> must_return(const Words& words);
    Result<> must_trap(const Words& words, bool exhaustion);
    Result<std::vector<Call>> call(std::string_view name, std::string_view text, std::span<const std::string_view> arguments);
    Result<std::uint32_t> instance_named(std::string_view name) const;

    std::vector<std::shared_ptr<WasmEngine>> engines_;  // by lane
    std::vector<Store> stores_;                         // by lane, new for each file
    std::filesystem::path folder_;
    std::map<std::string, std::uint32_t, std::less<>> instances_;
    std::map<std::string, Modules, std::less<>> definitions_;
    std::optional<std::uint32_t> current_;
    std::optional<Modules> last_definition_;
    // An instance that failed half way may have left functions in a shared table; what they use is counted where nobody
    // can read it any more, so the file's totals are not compared from there on.
    bool half_made_ = false;
    Counts counts_;
};

}  // namespace berth::spec
