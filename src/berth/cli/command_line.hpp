#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace berth::cli {

/// A flag or a positional argument of a CommandLine, which owns it. What is said about it is said when it is declared; each of
/// these gives the argument back, so that they are written in a row.
class Argument {
public:
    explicit Argument(CLI::Option& option) noexcept : option_(option) {}
    Argument(const Argument&) = delete;
    Argument& operator=(const Argument&) = delete;

    Argument* required();
    /// What help calls its value.
    Argument* type_name(std::string_view name);
    /// Taken from this variable of the environment where it is not written.
    Argument* envname(std::string_view name);
    /// Every other value is a usage error that names these.
    Argument* one_of(std::initializer_list<std::string> values);
    Argument* between(unsigned least, unsigned most);
    Argument* positive();
    Argument* excludes(const Argument* other);
    /// Whether a flag that may be given more than once takes one value each time (false), or all words that follow it.
    Argument* allow_extra_args(bool allowed);
    Argument* expected(int values);
    /// The heading of help it stands under; "": help does not show it.
    Argument* group(std::string_view name);

    /// How often it was given; 0 before the line was parsed.
    std::size_t count() const;

private:
    CLI::Option& option_;
};

/// A flag as help and completion know it.
struct FlagWords {
    std::string name;   // `--policy`
    std::string about;
    bool takes_value = false;
};

/// The command line of the program, of one verb or of one subverb: what it takes and, once parsed, what was given. Values are
/// written to the variables that were declared for them, which live until after `parse`. CLI11 stays behind it: its header takes
/// longer to compile than any verb.
class CommandLine {
public:
    CommandLine(std::string_view about, std::string_view name);
    ~CommandLine();
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    /// `names`: "--host" or "-d,--data" for a flag with a value, "file" for a positional argument.
    Argument* add_option(std::string_view names, std::string& value, std::string_view about);
    Argument* add_option(std::string_view names, std::filesystem::path& value, std::string_view about);
    Argument* add_option(std::string_view names, std::vector<std::string>& values, std::string_view about);
    Argument* add_option(std::string_view names, std::uint64_t& value, std::string_view about);
    Argument* add_option(std::string_view names, unsigned& value, std::string_view about);
    Argument* add_flag(std::string_view names, bool& value, std::string_view about);
    /// Owned by this line.
    CommandLine* add_subcommand(std::string_view name, std::string_view about);
    /// Whatever follows is its own affair: for what is answered before its words are looked at.
    CommandLine* take_everything();
    void require_subcommand(std::size_t least, std::size_t most);
    void require_subcommand(std::size_t number) { require_subcommand(number, number); }

    std::string name() const;
    std::string about() const;
    std::vector<const CommandLine*> subcommands() const;
    std::vector<FlagWords> flags() const;
    /// Whether `word`, as it is written (`-d`, `--data`), is a flag that a value follows.
    bool takes_value(std::string_view word) const;
    std::string help() const;

    /// How a parse ended that does not go on to a verb.
    struct End {
        int status = 0;
        std::string problem;  // empty: help was asked for and has been printed
    };
    /// Reads the words behind the program's name; called once, on the line of the program.
    std::optional<End> parse(const std::vector<std::string>& words);
    /// Whether the words named this verb; known even when the parse failed behind its name.
    bool parsed() const;
    /// Words of this verb that nothing was declared for.
    std::vector<std::string> remaining() const;

private:
    explicit CommandLine(CLI::App& app);
    Argument* keep(CLI::Option* option);

    std::unique_ptr<CLI::App> own_;  // the program's; verbs are owned by their parent's
    CLI::App& app_;
    std::vector<std::unique_ptr<Argument>> arguments_;
    std::vector<std::unique_ptr<CommandLine>> subcommands_;
};

}  // namespace berth::cli
