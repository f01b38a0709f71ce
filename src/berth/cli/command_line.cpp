#include "berth/cli/command_line.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include "berth/base/format.hpp"

namespace berth::cli {
namespace {

/// A number is its digits and nothing else: no sign, no other base, nothing that does not fit.
template <class Number>
CLI::Option* add_number(CLI::App& app, std::string_view names, Number& value, std::string_view about) {
    const std::string name(names);
    return app
        .add_option_function<std::string>(
            name,
            [&value, name](const std::string& text) {
                Number number = 0;
                const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
                if (error != std::errc() || end != text.data() + text.size()) throw CLI::ValidationError(name, format("\"{}\" is no whole number from 0 to {}", text, std::numeric_limits<Number>::max()));
                value = number;
            },
            std::string(about))
        ->type_name("UINT");
}

}  // namespace

Argument* Argument::required() {
    option_.required();
    return this;
}

Argument* Argument::type_name(std::string_view name) {
    option_.type_name(std::string(name));
    return this;
}

Argument* Argument::envname(std::string_view name) {
    option_.envname(std::string(name));
    return this;
}

Argument* Argument::one_of(std::initializer_list<std::string> values) {
    option_.check(CLI::IsMember(std::vector<std::string>(values)));
    return this;
}

Argument* Argument::between(unsigned least, unsigned most) {
    option_.check(CLI::Range(least, most));
    return this;
}

Argument* Argument::positive() {
    option_.check([](const std::string& text) { return text.find_first_not_of('0') == std::string::npos ? "is " + text + "; the least is 1" : std::string(); });
    return this;
}

Argument* Argument::excludes(const Argument* other) {
    option_.excludes(&other->option_);
    return this;
}

Argument* Argument::allow_extra_args(bool allowed) {
    option_.allow_extra_args(allowed);
    return this;
}

Argument* Argument::expected(int values) {
    option_.expected(values);
    return this;
}

Argument* Argument::group(std::string_view name) {
    option_.group(std::string(name));
    return this;
}

std::size_t Argument::count() const { return option_.count(); }

CommandLine::CommandLine(std::string_view about, std::string_view name) : own_(std::make_unique<CLI::App>(std::string(about), std::string(name))), app_(*own_) {
    app_.set_help_flag("-h,--help", "this text");
    app_.get_formatter()->column_width(30);  // verbs share their parent's
}

CommandLine::CommandLine(CLI::App& app) : app_(app) {}

CommandLine::~CommandLine() = default;

Argument* CommandLine::keep(CLI::Option* option) { return arguments_.emplace_back(std::make_unique<Argument>(*option)).get(); }

Argument* CommandLine::add_option(std::string_view names, std::string& value, std::string_view about) { return keep(app_.add_option(std::string(names), value, std::string(about))); }
Argument* CommandLine::add_option(std::string_view names, std::filesystem::path& value, std::string_view about) { return keep(app_.add_option(std::string(names), value, std::string(about))); }
Argument* CommandLine::add_option(std::string_view names, std::vector<std::string>& values, std::string_view about) { return keep(app_.add_option(std::string(names), values, std::string(about))); }
Argument* CommandLine::add_option(std::string_view names, std::uint64_t& value, std::string_view about) { return keep(add_number(app_, names, value, about)); }
Argument* CommandLine::add_option(std::string_view names, unsigned& value, std::string_view about) { return keep(add_number(app_, names, value, about)); }
Argument* CommandLine::add_flag(std::string_view names, bool& value, std::string_view about) { return keep(app_.add_flag(std::string(names), value, std::string(about))); }

CommandLine* CommandLine::add_subcommand(std::string_view name, std::string_view about) {
    auto* sub = app_.add_subcommand(std::string(name), std::string(about));
    return subcommands_.emplace_back(std::unique_ptr<CommandLine>(new CommandLine(*sub))).get();
}

void CommandLine::require_subcommand(std::size_t least, std::size_t most) { app_.require_subcommand(least, most); }

std::string CommandLine::name() const { return app_.get_name(); }
std::string CommandLine::about() const { return app_.get_description(); }
std::string CommandLine::help() const { return app_.help(); }
bool CommandLine::parsed() const { return app_.parsed(); }
CommandLine* CommandLine::take_everything() {
    app_.prefix_command();
    return this;
}
std::vector<std::string> CommandLine::remaining() const { return app_.remaining(); }

std::vector<const CommandLine*> CommandLine::subcommands() const {
    std::vector<const CommandLine*> all;
    for (const auto& sub : subcommands_) all.push_back(sub.get());
    return all;
}

std::vector<FlagWords> CommandLine::flags() const {
    std::vector<FlagWords> all;
    for (const auto* option : static_cast<const CLI::App&>(app_).get_options()) {
        for (const auto& name : option->get_lnames()) all.push_back({"--" + name, option->get_description(), option->get_expected_min() > 0});
    }
    return all;
}

bool CommandLine::takes_value(std::string_view word) const {
    const auto* option = app_.get_option_no_throw(std::string(word));
    return option != nullptr && option->get_expected_min() > 0;
}

std::optional<CommandLine::End> CommandLine::parse(const std::vector<std::string>& words) {
    try {
        app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // it takes them from the end
    } catch (const CLI::CallForHelp& help) {
        return End{app_.exit(help), ""};
    } catch (const CLI::ParseError& problem) {
        return End{problem.get_exit_code(), problem.what()};
    }
    return std::nullopt;
}

}  // namespace berth::cli
