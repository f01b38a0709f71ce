#include "berth/base/format.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

/// One place of the command line: the words that led there, and what may come next.
struct Place {
    std::string path;   // `policy explain`; empty: nothing was typed yet
    std::vector<std::pair<std::string, std::string>> words;  // subverbs, each with its summary
    std::vector<FlagWords> flags;
};

void collect(const CommandLine& app, const std::string& path, std::vector<Place>& places) {
    Place place{.path = path, .words = {}, .flags = app.flags()};
    const auto at = places.size();
    places.emplace_back();
    for (const auto* sub : app.subcommands()) {
        place.words.emplace_back(sub->name(), sub->about());
        collect(*sub, path.empty() ? sub->name() : path + " " + sub->name(), places);
    }
    places[at] = std::move(place);
}

std::vector<Place> all_places() {
    CommandLine app("", "berth");
    Context unused;
    std::function<Result<int>()> action;
    for (const auto& verb : verbs()) {
        auto* sub = app.add_subcommand(verb.name, verb.summary);
        verb.declare(*sub, unused, action);
        add_output_flags(*sub, unused);
    }
    std::vector<Place> places;
    collect(app, "", places);
    return places;
}

std::string next_words(const Place& place) {
    std::string text;
    for (const auto& [word, about] : place.words) text += (text.empty() ? "" : " ") + word;
    for (const auto& flag : place.flags) text += (text.empty() ? "" : " ") + flag.name;
    return text;
}

/// The two `case` lists that bash and zsh share: which words lead on, and what may follow where.
std::string shell_cases(const std::vector<Place>& places, std::string_view indent, std::string_view assign) {
    std::string text = format("{}case \"$place\" in\n", indent);
    for (const auto& place : places) text += format("{}  \"{}\") {}\"{}\" ;;\n", indent, place.path, assign, next_words(place));
    return text + format("{}esac\n", indent);
}

std::string known_places(const std::vector<Place>& places) {
    std::string text;
    for (const auto& place : places) {
        if (!place.path.empty()) text += (text.empty() ? "\"" : " | \"") + place.path + "\"";
    }
    return text;
}

std::string bash_script(const std::vector<Place>& places) {
    return format(R"sh(# bash completion for berth: eval "$(berth completion bash)"
_berth() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} place= next= step i
  for ((i = 1; i < COMP_CWORD; i++)); do
    step="${{place:+$place }}${{COMP_WORDS[i]}}"
    case "$step" in
      {}) place=$step ;;
    esac
  done
{}  COMPREPLY=($(compgen -W "$next" -- "$current"))
  [[ $current == -* ]] || COMPREPLY+=($(compgen -f -- "$current"))
}}
complete -o filenames -F _berth berth
)sh",
                  known_places(places), shell_cases(places, "  ", "next="));
}

std::string zsh_script(const std::vector<Place>& places) {
    return format(R"sh(#compdef berth
# zsh completion for berth: berth completion zsh > "${{fpath[1]}}/_berth", or eval "$(berth completion zsh)" behind compinit
_berth() {{
  local place= next= step i
  for ((i = 2; i < CURRENT; i++)); do
    step="${{place:+$place }}${{words[i]}}"
    case "$step" in
      {}) place=$step ;;
    esac
  done
{}  compadd -- ${{=next}}
  [[ ${{words[CURRENT]}} == -* ]] || _files
}}
if [[ ${{funcstack[1]}} == _berth ]]; then _berth "$@"; else compdef _berth berth; fi
)sh",
                  known_places(places), shell_cases(places, "  ", "next="));
}

std::string fish_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string fish_script(const std::vector<Place>& places) {
    std::string text = "# fish completion for berth: berth completion fish > ~/.config/fish/completions/berth.fish\n";
    for (const auto& place : places) {
        std::string condition = "__fish_use_subcommand";
        if (!place.path.empty()) {
            const auto space = place.path.find(' ');
            condition = "__fish_seen_subcommand_from " + place.path.substr(0, space);
            if (space != std::string::npos) condition += "; and __fish_seen_subcommand_from " + place.path.substr(space + 1);
        }
        for (const auto& [word, about] : place.words) text += format("complete -c berth -n {} -a {} -d {}\n", fish_quoted(condition), word, fish_quoted(about));
        for (const auto& flag : place.flags) {
            text += format("complete -c berth -n {} -l {}{} -d {}\n", fish_quoted(condition), flag.name.substr(2), flag.takes_value ? " -r" : "", fish_quoted(flag.about));
        }
    }
    return text;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto shell = std::make_shared<std::string>();
    app.add_option("shell", *shell, "bash, zsh or fish")->required()->one_of({"bash", "zsh", "fish"})->type_name("SHELL");
    action = [&context, shell]() -> Result<int> {
        const auto places = all_places();
        context.console.print(*shell == "bash" ? bash_script(places) : *shell == "zsh" ? zsh_script(places) : fish_script(places));
        return 0;
    };
}

}  // namespace

const Verb completion_verb{"completion", "Print what makes a shell complete berth's words", declare};

}  // namespace berth::cli
