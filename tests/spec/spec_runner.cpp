#include "spec/spec_runner.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

#include "berth/base/format.hpp"
#include "berth/engine/instrument.hpp"
#include "spec/spec_value.hpp"

namespace berth::spec {
namespace {

constexpr std::size_t most_results = 64;

Result<std::string> read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return fail(Code::file_not_found, format("{} cannot be read", file.string()));
    return std::string(std::istreambuf_iterator<char>(in), {});
}

std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const auto end = line.find(' ');
        if (end != 0) words.push_back(line.substr(0, end));
        line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
    }
    return words;
}

/// Whether a trap is the one that the specification's words describe.
bool is_trap(std::string_view message, std::uint32_t outcome, std::uint32_t trap) {
    constexpr std::pair<std::string_view, std::uint32_t> table[] = {
        {"unreachable", BERTH_TRAP_UNREACHABLE},
        {"out of bounds memory access", BERTH_TRAP_MEMORY_OUT_OF_BOUNDS},
        {"out of bounds table access", BERTH_TRAP_TABLE_OUT_OF_BOUNDS},
        {"undefined element", BERTH_TRAP_TABLE_OUT_OF_BOUNDS},
        {"uninitialized element", BERTH_TRAP_INDIRECT_CALL_NULL},
        {"indirect call type mismatch", BERTH_TRAP_BAD_SIGNATURE},
        {"integer overflow", BERTH_TRAP_INTEGER_OVERFLOW},
        {"integer divide by zero", BERTH_TRAP_INTEGER_DIVIDE_BY_ZERO},
        {"invalid conversion to integer", BERTH_TRAP_BAD_CONVERSION},
    };
    if (outcome != BERTH_TRAPPED) return false;
    // Older files abbreviate ("uninitialized"), newer ones add detail ("uninitialized element 2").
    for (const auto& [text, code] : table) {
        if (trap == code && (message.starts_with(text) || text.starts_with(message))) return true;
    }
    return false;
}

/// Files of a proposal's own edition that say the opposite of what became part of the format later.
constexpr std::pair<std::string_view, std::string_view> overtaken_files[] = {
    {"mutable-global/linking", "bulk-memory"},  // segments are written one after the other, not checked all at first
    {"reference-types/unreached-invalid", "reference-types"},  // its last edition settled br_table in code that cannot be reached
};

}  // namespace

Result<std::unique_ptr<Runner>> Runner::create() {
    auto runner = std::make_unique<Runner>();
    for (const auto& lane : lanes) {
        BERTH_TRY(auto engine, WasmEngine::create({.engine_fuel = lane.oracle, .pooling = Choice::off}));
        runner->engines_.push_back(std::move(engine));
    }
    return runner;
}

Result<> Runner::start_file() {
    stores_.clear();
    instances_.clear();
    definitions_.clear();
    current_.reset();
    last_definition_.reset();
    half_made_ = false;
    for (const auto& engine : engines_) {
        berth_test_store* store = nullptr;
        if (berth_error* error = berth_test_store_new(engine->handle(), &store); error != nullptr) {
            berth_error_delete(error);
            return fail(Code::runtime_bug, "no store can be made");
        }
        stores_.emplace_back(store, &berth_test_store_delete);
    }
    return {};
}

Result<Bytes> Runner::read(std::string_view file) const {
    BERTH_TRY(const auto text, read_file(folder_ / file));
    const auto bytes = as_bytes(text);
    return Bytes(bytes.begin(), bytes.end());
}

Result<Runner::Modules> Runner::load(const Bytes& wasm) const {
    BERTH_TRY(const auto info, ModuleInfo::read(wasm, {}));
    Modules modules;
    for (std::size_t i = 0; i < lane_count; ++i) {
        if (lanes[i].metered) {
            BERTH_TRY(const auto output, instrument(wasm, info, {.exact_depth = lanes[i].exact_depth}));
            BERTH_TRY(auto module, Module::compile(engines_[i], output.wasm, output.restore));
            modules.push_back(std::move(module));
        } else {
            BERTH_TRY(auto module, Module::compile(engines_[i], wasm));
            modules.push_back(std::move(module));
        }
    }
    return modules;
}

std::vector<Runner::Ended> Runner::instantiate(const Modules& modules, std::uint32_t& instance) {
    std::vector<Ended> ended(lane_count);
    for (std::size_t i = 0; i < lane_count; ++i) {
        ended[i].outcome = berth_test_instantiate(stores_[i].get(), modules[i]->handle(), &instance, &ended[i].trap);
    }
    return ended;
}

/// A module that is only sound with a proposal that is off decides about the whole file.
Result<std::string> Runner::needed_proposal(const std::vector<Words>& commands) const {
    for (const auto& words : commands) {
        if (words[0] == "needs") return std::string(words.at(2));
        std::string_view file;
        if (words[0] == "module" || words[0] == "definition") file = words.at(3);
        if (words[0] == "unlinkable" || words[0] == "uninstantiable") file = words.at(2);
        if (file.empty()) continue;
        BERTH_TRY(const auto wasm, read(file));
        const auto info = ModuleInfo::read(wasm, {});
        if (info) continue;
        const auto& message = info.error().message();
        constexpr std::string_view before = "the module needs the proposal ";
        if (const auto at = message.find(before); at != std::string::npos) {
            const auto from = at + before.size();
            return message.substr(from, message.find(',', from) - from);
        }
    }
    return std::string();
}

Result<std::string> Runner::run(const std::filesystem::path& list) {
    folder_ = list.parent_path();
    const auto name = format("{}/{}", folder_.filename().string(), list.stem().string());
    for (const auto& [file, proposal] : overtaken_files) {
        if (name == file) return std::string(proposal) + " overtook it";
    }
    BERTH_TRY(const auto text, read_file(list));
    std::vector<Words> commands;
    for (std::string_view rest = text; !rest.empty();) {
        const auto end = rest.find('\n');
        if (auto words = split(rest.substr(0, end)); !words.empty()) commands.push_back(std::move(words));
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
    BERTH_TRY(auto proposal, needed_proposal(commands));
    if (!proposal.empty()) return proposal + " is off";
    BERTH_TRYV(start_file());
    for (const auto& words : commands) {
        if (const auto done = command(words); !done) {
            ++counts_.failed;
            std::printf("FAILED %s line %s: %s: %s\n", name.c_str(), std::string(words.at(1)).c_str(),
                        std::string(words[0]).c_str(), done.error().full_message().c_str());
        }
    }
    return std::string();
}

Result<> Runner::command(const Words& words) {
    const auto& kind = words[0];
    if (kind == "text") {
        if (words.at(2) != "refused") return fail(Code::bad_output, "the parser of the text format accepts it");
        ++counts_.text;
        return {};
    }
    if (kind == "module") return define(words, true);
    if (kind == "definition") return define(words, false);
    if (kind == "instance") {
        if (words.at(3) == "-" && last_definition_) return place(*last_definition_, words.at(2));
        const auto found = definitions_.find(words.at(3));
        if (found == definitions_.end()) return fail(Code::not_found, format("no module {}", words.at(3)));
        return place(found->second, words.at(2));
    }
    if (kind == "malformed" || kind == "invalid") return must_be_refused(words);
    if (kind == "unlinkable") return must_not_link(words);
    if (kind == "uninstantiable") return must_trap_at_start(words);
    if (kind == "module-returns") {
        BERTH_TRY(const auto wasm, read(words.at(2)));
        BERTH_TRY(const auto modules, load(wasm));
        return place(modules, "-");
    }
    if (kind == "register") {
        BERTH_TRY(const auto instance, instance_named(words.at(3)));
        BERTH_TRY(const auto name, parse_text(words.at(2)));
        for (auto& store : stores_) berth_test_register(store.get(), instance, {.data = name.data(), .size = name.size()});
        return {};
    }
    if (kind == "invoke" || kind == "return") return must_return(words);
    if (kind == "trap") return must_trap(words, false);
    if (kind == "exhaustion") return must_trap(words, true);
    return fail(Code::bad_input, format("unknown command {}", kind));
}

Result<> Runner::define(const Words& words, bool now) {
    BERTH_TRY(const auto wasm, read(words.at(3)));
    BERTH_TRY(auto modules, load(wasm));
    ++counts_.passed;
    if (now) return place(modules, words.at(2));
    last_definition_ = modules;
    if (words.at(2) != "-") definitions_.insert_or_assign(std::string(words.at(2)), std::move(modules));
    return {};
}

Result<> Runner::place(const Modules& modules, std::string_view name) {
    std::uint32_t instance = 0;
    const auto ended = instantiate(modules, instance);
    for (std::size_t i = 0; i < lane_count; ++i) {
        if (ended[i].outcome != BERTH_RETURNED) return fail(Code::bad_output, format("{}: not instantiated ({})", lanes[i].name, ended[i].outcome));
    }
    current_ = instance;
    if (name != "-") instances_.insert_or_assign(std::string(name), instance);
    return {};
}

Result<> Runner::must_be_refused(const Words& words) {
    BERTH_TRY(const auto wasm, read(words.at(2)));
    const auto loaded = load(wasm);
    if (loaded) return fail(Code::bad_output, "the module is accepted");
    if (loaded.error().code() != Code::invalid_module) return fail(Error(loaded.error()));
    ++counts_.passed;
    return {};
}

Result<> Runner::must_not_link(const Words& words) {
    BERTH_TRY(const auto wasm, read(words.at(2)));
    BERTH_TRY(const auto modules, load(wasm));
    std::uint32_t instance = 0;
    for (const auto& ended : instantiate(modules, instance)) {
        if (ended.outcome != BERTH_NOT_STARTED) return fail(Code::bad_output, "the module links");
    }
    ++counts_.passed;
    return {};
}

Result<> Runner::must_trap_at_start(const Words& words) {
    BERTH_TRY(const auto wasm, read(words.at(2)));
    BERTH_TRY(const auto modules, load(wasm));
    BERTH_TRY(const auto message, parse_text(words.at(3)));
    half_made_ = true;
    std::uint32_t instance = 0;
    const auto ended = instantiate(modules, instance);
    for (std::size_t i = 0; i < lane_count; ++i) {
        if (!is_trap(message, ended[i].outcome, ended[i].trap)) {
            return fail(Code::bad_output, format("{}: not \"{}\" but outcome {} trap {}", lanes[i].name, message, ended[i].outcome, ended[i].trap));
        }
    }
    ++counts_.passed;
    return {};
}

Result<std::uint32_t> Runner::instance_named(std::string_view name) const {
    if (name == "-") {
        if (!current_) return fail(Code::not_found, "no module before this");
        return *current_;
    }
    const auto found = instances_.find(name);
    if (found == instances_.end()) return fail(Code::not_found, format("no instance {}", name));
    return found->second;
}

Result<std::vector<Runner::Call>> Runner::call(std::string_view name, std::string_view text, std::span<const std::string_view> arguments) {
    BERTH_TRY(const auto instance, instance_named(name));
    BERTH_TRY(const auto function, parse_text(text));
    std::vector<berth_test_value> values;
    for (const auto word : arguments) {
        BERTH_TRY(const auto value, parse_argument(word));
        values.push_back(value);
    }
    std::vector<Call> calls(lane_count);
    for (std::size_t i = 0; i < lane_count; ++i) {
        auto& made = calls[i];
        made.results.resize(most_results);
        std::size_t count = 0;
        made.ended.outcome = berth_test_call(stores_[i].get(), instance, {.data = function.data(), .size = function.size()}, values.data(),
                                             values.size(), made.results.data(), most_results, &count, &made.ended.trap);
        made.results.resize(count);
        made.fuel = berth_test_fuel_used(stores_[i].get());
    }
    return calls;
}

Result<> Runner::must_return(const Words& words) {
    // return LINE invoke|get NAME TEXT ARGUMENTS = RESULTS, or invoke LINE NAME TEXT ARGUMENTS
    const bool compares = words[0] == "return";
    const std::size_t at = compares ? 3 : 2;
    const auto equals = compares ? std::find(words.begin(), words.end(), std::string_view("=")) : words.end();
    const std::span arguments(words.begin() + static_cast<std::ptrdiff_t>(at) + 2, equals);
    const std::span expected(equals == words.end() ? equals : equals + 1, words.end());
    if (compares && words[2] == "get") {
        BERTH_TRY(const auto instance, instance_named(words.at(at)));
        BERTH_TRY(const auto name, parse_text(words.at(at + 1)));
        for (std::size_t i = 0; i < lane_count; ++i) {
            berth_test_value value{};
            if (!berth_test_global(stores_[i].get(), instance, {.data = name.data(), .size = name.size()}, &value)) {
                return fail(Code::not_found, format("{}: no global {}", lanes[i].name, name));
            }
            if (expected.size() != 1 || !matches(expected[0], value)) return fail(Code::bad_output, format("{}: {}", lanes[i].name, to_text(value)));
        }
        ++counts_.passed;
        return {};
    }
    BERTH_TRY(const auto calls, call(words.at(at), words.at(at + 1), arguments));
    std::optional<std::uint64_t> oracle;
    for (std::size_t i = 0; i < lane_count; ++i) {
        const auto& made = calls[i];
        if (made.ended.outcome != BERTH_RETURNED) {
            return fail(Code::bad_output, format("{}: outcome {} trap {}", lanes[i].name, made.ended.outcome, made.ended.trap));
        }
        if (compares && made.results.size() != expected.size()) return fail(Code::bad_output, format("{}: {} results", lanes[i].name, made.results.size()));
        for (std::size_t n = 0; compares && n < expected.size(); ++n) {
            if (!matches(expected[n], made.results[n])) {
                return fail(Code::bad_output, format("{}: expected {}, got {}", lanes[i].name, expected[n], to_text(made.results[n])));
            }
        }
        if (lanes[i].oracle) oracle = made.fuel;
        if (lanes[i].metered && !half_made_ && made.fuel != oracle) {
            return fail(Code::bad_output, format("{}: {} fuel, the engine counts {}", lanes[i].name, made.fuel, oracle.value_or(0)));
        }
    }
    ++counts_.passed;
    if (!half_made_) ++counts_.fuel_compared;
    return {};
}

Result<> Runner::must_trap(const Words& words, bool exhaustion) {
    const auto equals = std::find(words.begin(), words.end(), std::string_view("="));
    const std::span arguments(words.begin() + 4, equals);
    BERTH_TRY(const auto calls, call(words.at(2), words.at(3), arguments));
    std::string message = "call stack exhausted";
    if (!exhaustion) {
        if (equals == words.end() || equals + 1 == words.end()) return fail(Code::bad_input, "no message");
        BERTH_TRY(message, parse_text(*(equals + 1)));
    }
    for (std::size_t i = 0; i < lane_count; ++i) {
        const auto& ended = calls[i].ended;
        if (exhaustion ? ended.outcome != BERTH_STACK_OVERFLOW : !is_trap(message, ended.outcome, ended.trap)) {
            return fail(Code::bad_output, format("{}: not \"{}\" but outcome {} trap {}", lanes[i].name, message, ended.outcome, ended.trap));
        }
    }
    ++counts_.passed;
    return {};
}

}  // namespace berth::spec
