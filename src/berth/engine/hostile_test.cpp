// Every file of tests/hostile/engine: a module in text (.wat) or in hexadecimal (.hex) whose first lines say what happens.
//
//   refuse: TEXT                              the loader refuses it as invalid_module, saying TEXT
//   exact_depth                               metered with exact depth
//   call: NAME ARGUMENTS [fuel=N] [depth=N] [memory=BYTES] -> OUTCOME
//
// OUTCOME is that of the call, or `trapped NAME-OF-THE-TRAP`. Comments begin with `;;` in text, with `#` in hexadecimal.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "berth/base/format.hpp"
#include "berth/engine/testing/metered_module.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

struct HostileFile {
    std::filesystem::path path;
    Bytes wasm;
    std::vector<std::string> notes;  // the comment lines, without their sign
};

std::filesystem::path folder() { return testing::source_dir() / "tests" / "hostile" / "engine"; }

std::vector<std::string> hostile_files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder())) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
}

HostileFile read(const std::string& name) {
    HostileFile file{.path = folder() / name, .wasm = {}, .notes = {}};
    const bool hexadecimal = file.path.extension() == ".hex";
    const std::string sign = hexadecimal ? "#" : ";;";
    std::ifstream in(file.path, std::ios::binary);
    std::string text;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(sign)) {
            file.notes.push_back(line.substr(std::min(line.size(), sign.size() + 1)));
            continue;
        }
        if (hexadecimal) std::erase_if(line, [](char c) { return c == ' '; });
        text += line;
        if (!hexadecimal) text += '\n';
    }
    if (hexadecimal) {
        EXPECT_TRUE(from_hex(text, file.wasm)) << name;
    } else {
        auto wasm = wat_to_wasm(text);
        EXPECT_TRUE(wasm) << name << ": " << wasm.error().full_message();
        if (wasm) file.wasm = std::move(*wasm);
    }
    return file;
}

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < line.size();) {
        const auto end = std::min(line.find(' ', at), line.size());
        if (end > at) words.push_back(line.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    EXPECT_TRUE(error == std::errc() && end == text.data() + text.size()) << text;
    return value;
}

/// Runs one `call:` line and returns what came of it in the words of the file.
std::string outcome_of(testing::MeteredModule& module, std::span<const std::string> words) {
    CallSetup setup;
    std::vector<RawValue> arguments;
    for (const auto& word : words.subspan(1)) {
        if (word.starts_with("fuel=")) {
            setup.fuel = number(std::string_view(word).substr(5));
        } else if (word.starts_with("depth=")) {
            setup.depth = static_cast<std::int32_t>(number(std::string_view(word).substr(6)));
        } else if (word.starts_with("memory=")) {
            setup.memory_limit = static_cast<std::uint64_t>(number(std::string_view(word).substr(7)));
        } else {
            arguments.push_back(RawValue::of(number(word)));
        }
    }
    const auto run = module.run(words[0], arguments, setup);
    std::string text(name(run.report.outcome));
    if (run.report.outcome == CallOutcome::trapped) text.append(" ").append(name(run.report.trap));
    return text;
}

class Hostile : public ::testing::TestWithParam<std::string> {};

TEST_P(Hostile, EndsAsTheFileSays) {
    const auto file = read(GetParam());
    InstrumentOptions options;
    std::size_t expectations = 0;
    for (const auto& note : file.notes) options.exact_depth |= note == "exact_depth";
    std::unique_ptr<testing::MeteredModule> module;
    for (const auto& note : file.notes) {
        if (note.starts_with("refuse: ")) {
            ++expectations;
            const auto info = ModuleInfo::read(file.wasm, {});
            ASSERT_FALSE(info) << "accepted";
            EXPECT_EQ(info.error().code(), Code::invalid_module);
            EXPECT_NE(info.error().full_message().find(note.substr(8)), std::string::npos) << info.error().full_message();
        } else if (note.starts_with("call: ")) {
            ++expectations;
            if (!module) module = std::make_unique<testing::MeteredModule>(file.wasm, std::vector<testing::WasmFixture::Import>{}, options);
            const auto arrow = note.find(" -> ");
            ASSERT_NE(arrow, std::string::npos) << note;
            const auto words = words_of(note.substr(6, arrow - 6));
            EXPECT_EQ(outcome_of(*module, words), note.substr(arrow + 4)) << note;
            // The host is unharmed: the next call has a whole instance again.
            EXPECT_EQ(outcome_of(*module, words), note.substr(arrow + 4)) << note << " (again)";
        }
    }
    EXPECT_GT(expectations, 0u) << "the file says nothing";
}

INSTANTIATE_TEST_SUITE_P(, Hostile, ::testing::ValuesIn(hostile_files()), [](const auto& info) {
    std::string name = info.param;
    std::ranges::replace_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
    return name;
});

}  // namespace
}  // namespace berth
