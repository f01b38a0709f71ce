#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/runtime/discovery.hpp"

namespace berth {

/// Endings of files that a wasm engine runs, and those of package kinds that this build has no engine for.
bool is_wasm_ending(std::string_view extension) noexcept;
bool is_package_ending(std::string_view extension) noexcept;

/// Begins with `#!`, or is an ELF program.
bool looks_executable(const std::filesystem::path& file);

/// A file of at most `limit` bytes; one byte more when it is longer.
std::string read_text_file(const std::filesystem::path& file, std::size_t limit);

/// Whether `relative` opens below `folder` with every link of it staying inside. Sets errno.
bool opens_beneath(const std::filesystem::path& folder, const std::string& relative);

/// Hash of what makes a program what it is: entry, manifest, and what its build step made of it. Hex.
std::string version_of(const DiscoveredFunction& found);

/// Chooses the entry file and the runtime of one function whose manifest was read: the order of the rules never depends
/// on which runtimes are installed. What it finds wrong goes to the function's diagnostics, what it tried to its
/// explanation.
class EntryRules {
public:
    EntryRules(DiscoveredFunction& found, std::string shown, const RuntimeRegistry& runtimes) : found_(found), shown_(std::move(shown)), runtimes_(runtimes) {}

    void problem(std::string_view number, std::string text, std::string place = {});
    /// For a folder; false when it is no function at all.
    bool choose_entry();
    /// A runtime named by the manifest; false when there is none of that name.
    bool choose_runtime();
    /// The entry of a single file, or the one that a manifest names.
    void take_entry(const std::string& relative);
    /// Runtime and kind of the entry, the checks that need both, version and state.
    void finish();

private:
    std::string place(TextPlace at) const;
    bool take_first(const std::vector<std::string>& names, std::string_view rule);
    void settle_kind();
    void settle_runtime(const std::string& extension);
    void check_executable();
    void check_build();
    void explain(std::string text) { found_.explanation.push_back(std::move(text)); }

    DiscoveredFunction& found_;
    std::string shown_;
    const RuntimeRegistry& runtimes_;
};

}  // namespace berth
