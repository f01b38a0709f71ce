#include <CLI/CLI.hpp>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

void print_code(Console& console, const CodeRow& code) {
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.code").member("code", code.name).member("sentence", code.sentence).member("http", static_cast<unsigned>(code.http));
        json.member("exit", static_cast<unsigned>(code.exit)).member("origin", name(code.origin)).member("retry", name(code.retry)).end_object();
        console.line(json.text());
        return;
    }
    const auto exit = code.code == Code::exit_nonzero ? std::string("the program's own") : code.code == Code::signaled ? std::string("128 + the signal") : format("{}", code.exit);
    console.line(format("{}: {}", code.name, code.sentence));
    console.line(format("  HTTP {}, exit status {}, ended by {}, worth repeating: {}", code.http, exit, name(code.origin), name(code.retry)));
}

Result<int> run(Context& context, const std::string& topic) {
    auto& console = context.console;
    if (topic.empty()) {
        console.line("berth VERB [flags] FILE [guest arguments]; berth FILE is berth run FILE\n");
        for (const auto& verb : verbs()) console.line(format("  {:<10} {}", verb.name, verb.summary));
        console.line("\nberth VERB --help, berth help codes, capabilities, limits, or any code");
        return 0;
    }
    if (topic == "codes") {
        for (const auto& code : code_table) console.line(format("{:<24} http {:<4} exit {:<4} {}", code.name, code.http, code.exit, code.sentence));
        return 0;
    }
    if (topic == "capabilities") {
        for (const auto& entry : capability_table) console.line(format("{:<16} {:<10} {}", entry.name, name(entry.scope), entry.sentence));
        return 0;
    }
    if (topic == "limits") {
        for (const auto& entry : limit_table) console.line(format("{:<15} {}", entry.name, entry.bounds));
        return 0;
    }
    if (const auto code = code_named(topic)) {
        print_code(console, row(*code));
        return 0;
    }
    std::vector<std::string_view> names{"codes", "capabilities", "limits"};
    for (const auto& code : code_table) names.push_back(code.name);
    const auto near = nearest(topic, names);
    return fail(Code::not_found, format("there is no help on \"{}\"{}", topic, near.empty() ? "" : format("; did you mean {}?", near)));
}

void declare(CLI::App& app, Context& context, std::function<Result<int>()>& action) {
    auto topic = std::make_shared<std::string>();
    app.add_option("topic", *topic, "a code, or codes, capabilities, limits")->type_name("CODE|TOPIC");
    action = [&context, topic] { return run(context, *topic); };
}

}  // namespace

const Verb help_verb{"help", "Explain a code or a topic", declare};

}  // namespace berth::cli
