#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "berth/base/error.hpp"
#include "berth/base/format.hpp"

namespace berth::cli {

/// A temporary folder of one verb, removed with everything in it at the end.
struct ScratchFolder {
    std::filesystem::path path;  // empty until it is made

    ScratchFolder() = default;
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder() { remove(); }

    /// Fails with cannot_create.
    Result<void> make(std::string_view verb) {
        const auto all = std::filesystem::temp_directory_path();
        auto pattern = (all / format("berth-{}-XXXXXX", verb)).string();
        if (::mkdtemp(pattern.data()) == nullptr) return fail(Code::cannot_create, format("no temporary folder can be made in {}", all.string()));
        path = pattern;
        return {};
    }
    void remove() const noexcept {
        std::error_code ignored;
        if (!path.empty()) std::filesystem::remove_all(path, ignored);
    }
};

}  // namespace berth::cli
