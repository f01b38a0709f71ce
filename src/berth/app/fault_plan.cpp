#include "berth/app/fault_plan.hpp"

#include <array>
#include <span>

#include "berth/base/format.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/base/yaml.hpp"

namespace berth {
namespace {

constexpr std::uint64_t most_places = 100'000;
constexpr std::int64_t most_cuts = 10'000;

class Reader {
public:
    explicit Reader(std::string file) : file_(std::move(file)) {}

    std::unexpected<Error> wrong(const YamlNode& node, std::string_view what) const {
        Error error(Code::config_error, format("{}: {}", place_text(file_, node.place), what));
        error.set_where(place_text(file_, node.place));
        return fail(std::move(error));
    }
    std::unexpected<Error> unknown(const YamlNode& key, std::span<const std::string_view> known) const {
        const auto near = nearest(key.text, known);
        return wrong(key, format("unknown key \"{}\"{}", key.text, near.empty() ? "" : format("; did you mean {}?", near)));
    }

    Result<FaultPlaces> places(const YamlNode& node, std::string_view key) const {
        FaultPlaces found;
        if (node.is_string() && node.text == "every") {
            found.every = true;
            return found;
        }
        if (!node.is_sequence() || node.items.size() > most_places) return wrong(node, format("{}: write `every`, or a list of numbers of host calls", key));
        for (const auto& item : node.items) {
            const auto number = item.integer();
            if (!number || *number < 1) return wrong(item, format("{}: host calls are counted from 1", key));
            found.numbers.push_back(static_cast<std::uint64_t>(*number));
        }
        return found;
    }

    Result<std::uint32_t> cuts(const YamlNode& node, std::string_view key) const {
        const auto number = node.integer();
        if (!number || *number < 1 || *number > most_cuts) return wrong(node, format("{}: a number from 1 to {}", key, most_cuts));
        return static_cast<std::uint32_t>(*number);
    }

private:
    std::string file_;
};

}  // namespace

Result<FaultPlan> FaultPlan::parse(std::string_view text, const std::filesystem::path& from) {
    const Reader reader(from.string());
    BERTH_TRY(const auto root, parse_yaml(text, from.string()));
    if (!root.is_mapping()) return reader.wrong(root, "a fault plan is a mapping: plan, run, faults");
    constexpr std::array<std::string_view, 3> top{"plan", "run", "faults"};
    constexpr std::array<std::string_view, 5> of_run{"file", "function", "call", "arguments", "input"};
    constexpr std::array<std::string_view, 5> of_faults{"host_calls", "fuel", "memory", "clock", "kills"};
    FaultPlan plan;
    const YamlNode* run = nullptr;
    const YamlNode* faults = nullptr;
    bool has_version = false;
    for (const auto& [key, value] : root.members) {
        if (key.text == "plan") {
            if (value.integer() != 1) return reader.wrong(value, "this build reads plans of version 1");
            has_version = true;
        } else if (key.text == "run") {
            run = &value;
        } else if (key.text == "faults") {
            faults = &value;
        } else {
            return reader.unknown(key, top);
        }
    }
    if (!has_version) return reader.wrong(root, "plan: 1 is missing");
    if (run == nullptr || !run->is_mapping()) return reader.wrong(root, "run is missing: what is called, with its file");
    if (faults == nullptr || !faults->is_mapping() || faults->members.empty()) return reader.wrong(root, "faults is missing: what is to go wrong");
    for (const auto& [key, value] : run->members) {
        if (key.text == "arguments") {
            if (!value.is_sequence()) return reader.wrong(value, "arguments is a list");
            for (const auto& item : value.items) {
                if (!item.is_scalar()) return reader.wrong(item, "an argument is a text or a number");
                plan.arguments.push_back(item.text);
            }
        } else if (key.text == "file" || key.text == "function" || key.text == "call" || key.text == "input") {
            if (!value.is_scalar()) return reader.wrong(value, format("{} is a text", key.text));
            if (key.text == "file") plan.file = from.parent_path() / value.text;
            if (key.text == "function") plan.function = value.text;
            if (key.text == "call") plan.entry = value.text;
            if (key.text == "input") plan.input = value.text;
        } else {
            return reader.unknown(key, of_run);
        }
    }
    if (plan.file.empty()) return reader.wrong(*run, "run.file is missing: the module");
    if (!plan.function.empty() && (!plan.entry.empty() || !plan.arguments.empty())) return reader.wrong(*run, "run.call and run.arguments are for modules; a function that is a program takes its input");
    for (const auto& [key, value] : faults->members) {
        if (!plan.function.empty() && key.text != "kills") return reader.wrong(key, format("{}: a program makes no host calls and has no fuel; of a function that is a program only kills are tried", key.text));
        if (key.text == "host_calls") {
            BERTH_TRY(plan.host_calls, reader.places(value, "host_calls"));
        } else if (key.text == "kills") {
            BERTH_TRY(plan.kills, reader.places(value, "kills"));
            if (!plan.function.empty() && !plan.kills.every) return reader.wrong(value, "kills: of a function that is a program write every; the process is its one operation");
        } else if (key.text == "fuel") {
            BERTH_TRY(plan.fuel_cuts, reader.cuts(value, "fuel"));
        } else if (key.text == "memory") {
            BERTH_TRY(plan.memory_cuts, reader.cuts(value, "memory"));
        } else if (key.text == "clock") {
            const auto* by = value.find("by");
            const auto* at = value.find("at");
            if (!value.is_mapping() || by == nullptr || at == nullptr || value.members.size() != 2) return reader.wrong(value, "clock: write {by: 1h, at: every}, or a list of numbers of host calls for at");
            const auto jump = parse_duration(by->text);
            if (!jump) return reader.wrong(*by, jump.error().message());
            plan.clock_by = *jump;
            BERTH_TRY(plan.clock_at, reader.places(*at, "clock.at"));
        } else {
            return reader.unknown(key, of_faults);
        }
    }
    return plan;
}

}  // namespace berth
