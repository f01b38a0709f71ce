#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>

#include "berth/app/compile_apart.hpp"
#include "berth/app/config.hpp"
#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {

const std::vector<Verb>& verbs() {
    static const std::vector<Verb> all{run_verb, invoke_verb, serve_verb, dev_verb, new_verb, fn_verb, calls_verb, logs_verb, replay_verb, trace_verb, receipt_verb, keygen_verb, sign_verb, verify_verb, check_verb,
                                       inspect_verb, world_verb, policy_verb, limits_verb, config_verb, doctor_verb, cache_verb, version_verb, bench_verb, faults_verb, completion_verb, help_verb};
    return all;
}

namespace {

/// Verbs of later parts: known, so that their answer is not "no such verb".
constexpr std::array later_verbs{"build", "fmt", "test", "queue", "glyph", "stark", "vudo", "dol", "icn", "repl"};

struct Link {
    std::string_view name;
    std::string_view verb;
};
constexpr std::array links{Link{"glyph", "glyph"}, Link{"starkvm", "stark"}, Link{"starkc", "stark"}, Link{"stark", "stark"}, Link{"vudo", "vudo"}, Link{"dol-codegen", "dol"}, Link{"icn-cli", "icn"}};

int not_offered(const Console& console, std::string_view verb) {
    Error error(Code::not_implemented, format("berth {} is not offered by this build", verb));
    error.set_fix("berth help lists what is");
    console.error(error);
    return error.exit_status();
}

/// Turns `berth FILE …` into `berth run FILE …`.
std::vector<std::string> words_of(int argc, char** argv) {
    std::vector<std::string> words(argv + 1, argv + argc);
    if (words.empty() || words[0].starts_with('-')) return words;
    const auto is_verb = [&](std::string_view word) {
        return std::any_of(verbs().begin(), verbs().end(), [&](const Verb& verb) { return verb.name == word; }) ||
               std::find(later_verbs.begin(), later_verbs.end(), word) != later_verbs.end();
    };
    std::error_code error;
    if (!is_verb(words[0]) && (words[0].find('/') != std::string::npos || std::filesystem::path(words[0]).has_extension() || std::filesystem::exists(words[0], error))) {
        words.insert(words.begin(), "run");
    }
    return words;
}

/// Turns `--functions-KEY VALUE` and `--functions-KEY=VALUE` into `--set functions.KEY=VALUE`; a key that may be true or false is
/// true without a value. What is no key stays and is refused as an unknown flag.
void spell_out_function_keys(std::vector<std::string>& words) {
    constexpr std::string_view prefix = "--functions-";
    for (std::size_t at = 1; at < words.size() && words[at] != "--"; ++at) {
        if (!words[at].starts_with(prefix)) continue;
        const auto equals = words[at].find('=');
        auto name = words[at].substr(prefix.size(), equals == std::string::npos ? equals : equals - prefix.size());
        std::replace(name.begin(), name.end(), '-', '_');
        const auto key = "functions." + name;
        const auto keys = config_keys();
        const auto known = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& each) { return each.name == key; });
        if (known == keys.end()) continue;
        std::string value = "true";
        if (equals != std::string::npos) {
            value = words[at].substr(equals + 1);
        } else if (known->type != ConfigType::flag) {
            if (at + 1 == words.size()) continue;
            value = words[at + 1];
            words.erase(words.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        }
        words[at] = format("{}={}", key, value);
        words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), "--set");
        ++at;
    }
}

/// Cuts the guest's arguments off: all that follows the first word that is neither a flag nor the value of one.
void split_guest_arguments(const CommandLine& verb, std::vector<std::string>& words, std::vector<std::string>& guest) {
    std::size_t at = 1;
    while (at < words.size() && words[at].starts_with('-') && words[at] != "-") {
        if (words[at] == "--") {
            words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
            break;
        }
        at += verb.takes_value(words[at]) ? 2 : 1;
    }
    if (at >= words.size()) return;
    auto first = words.begin() + static_cast<std::ptrdiff_t>(at) + 1;
    if (first != words.end() && *first == "--") ++first;
    guest.assign(first, words.end());
    words.resize(at + 1);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == compile_apart_word) return compile_apart_main(argc, argv);
    Context context;
    // A link to the binary selects a world's verbs; any other name is berth.
    const auto program = std::filesystem::path(argc > 0 ? argv[0] : "berth").filename().string();
    for (const auto& link : links) {
        if (program == link.name) return not_offered(context.console, link.verb);
    }
    auto words = words_of(argc, argv);

    CommandLine app("Runs code you did not write, under one policy, one set of limits and one meter.", "berth");
    app.require_subcommand(0, 1);
    // `berth FILE` has no verb of its own; a word that is none is reported with the nearest one.
    if (!words.empty() && !words[0].starts_with('-')) {
        if (std::find(later_verbs.begin(), later_verbs.end(), words[0]) != later_verbs.end()) return not_offered(context.console, words[0]);
        std::vector<std::string_view> names;
        for (const auto& verb : verbs()) names.push_back(verb.name);
        if (std::find(names.begin(), names.end(), words[0]) == names.end()) {
            const auto near = nearest(words[0], names);
            Error error(Code::usage, format("there is no verb and no file \"{}\"{}", words[0], near.empty() ? "" : format("; did you mean {}?", near)));
            error.set_fix("berth help");
            context.console.error(error);
            return error.exit_status();
        }
    }

    std::vector<std::function<Result<int>()>> actions(verbs().size());
    std::vector<std::pair<CommandLine*, std::size_t>> subcommands;  // with the verb's position
    for (std::size_t i = 0; i < verbs().size(); ++i) {
        const auto& verb = verbs()[i];
        // A line that names its verb needs no other: setting up all of them takes longer than starting a small guest.
        if (!words.empty() && !words[0].starts_with('-') && verb.name != words[0]) continue;
        auto* sub = app.add_subcommand(verb.name, verb.summary);
        verb.declare(*sub, context, actions[i]);
        add_output_flags(*sub, context);
        subcommands.emplace_back(sub, i);
        if (words.empty() || words[0] != verb.name) continue;
        if (verb.takes == Takes::guest_arguments) split_guest_arguments(*sub, words, context.guest_arguments);
        else spell_out_function_keys(words);
    }
    if (const auto end = app.parse(words)) {
        if (end->problem.empty()) return end->status;
        if (std::find(words.begin(), words.end(), "json") != words.end() || std::find(words.begin(), words.end(), "--json") != words.end()) context.console.format = Format::json;
        std::string message = end->problem;
        std::string fix;
        // An unknown flag: name the nearest one of its verb.
        for (const auto& [sub, position] : subcommands) {
            if (!sub->parsed()) continue;
            fix = format("berth {} --help", sub->name());
            for (const auto& word : sub->remaining()) {
                std::vector<std::string> flags;
                for (const auto& flag : sub->flags()) flags.push_back(flag.name);
                const auto near = nearest(word, flags);
                message = near.empty() ? format("unknown argument \"{}\"", word) : format("unknown argument \"{}\"; did you mean {}?", word, near);
                break;
            }
        }
        Error error(Code::usage, message);
        if (!fix.empty()) error.set_fix(fix);
        context.console.error(error);
        return error.exit_status();
    }

    for (const auto& [sub, position] : subcommands) {
        if (!sub->parsed()) continue;
        auto ready = context.finish_parsing();
        auto status = ready ? actions[position]() : Result<int>(std::unexpected(ready.error()));
        if (status) return *status;
        context.console.error(status.error());
        return status.error().exit_status();
    }
    std::cout << app.help();
    return 0;
}

}  // namespace berth::cli
