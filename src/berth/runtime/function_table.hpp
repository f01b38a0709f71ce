#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "berth/runtime/engine.hpp"
#include "berth/runtime/function.hpp"

namespace berth {

/// The functions of several engines under one set of names, at one moment. Immutable; safe from any thread.
///
/// A name that two of them claim (also one that differs only in case) serves neither: the entry is invalid, has no
/// engine, and its diagnostic M006 names both owners.
class FunctionTable {
public:
    struct Entry {
        FunctionRef function;
        Engine* engine = nullptr;  // null: cannot be called
    };

    FunctionTable() = default;
    explicit FunctionTable(std::span<Engine* const> engines);

    /// Null when there is no such function.
    const Entry* find(std::string_view name) const noexcept;
    /// Sorted by name.
    const std::vector<FunctionRef>& list() const noexcept { return list_; }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
    };
    std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
    std::vector<FunctionRef> list_;
};

}  // namespace berth
