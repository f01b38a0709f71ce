#include "berth/runtime/function_table.hpp"

#include <algorithm>
#include <tuple>

#include "berth/base/format.hpp"

namespace berth {

namespace {

std::string folded(std::string_view name) {
    std::string lower(name);
    for (auto& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return lower;
}

std::string owner(const Function& function) { return format("{} ({})", function.entry.empty() ? function.directory.string() : function.entry.string(), name(function.engine)); }

}  // namespace

FunctionTable::FunctionTable(std::span<Engine* const> engines) {
    std::map<std::string, std::vector<Entry>> claims;
    for (auto* engine : engines) {
        for (auto& function : engine->list()) claims[folded(function->name)].push_back({function, engine});
    }
    for (auto& [key, owners] : claims) {
        for (auto& entry : owners) {
            if (owners.size() > 1) {
                auto clash = std::make_shared<Function>(*entry.function);
                clash->state = FunctionState::invalid;
                for (const auto& other : owners) {
                    if (other.function == entry.function) continue;
                    clash->diagnostics.push_back({"M006", entry.function->entry.string(), format("the name \"{}\" is also claimed by {}; rename one of them", entry.function->name, owner(*other.function))});
                }
                entry = {std::move(clash), nullptr};
            }
            // Of two that spell the name alike either answers, since each names the other; both are listed.
            entries_.try_emplace(entry.function->name, entry);
            list_.push_back(entry.function);
        }
    }
    std::sort(list_.begin(), list_.end(), [](const FunctionRef& a, const FunctionRef& b) { return std::tie(a->name, a->entry) < std::tie(b->name, b->entry); });
}

const FunctionTable::Entry* FunctionTable::find(std::string_view name) const noexcept {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace berth
