#include <algorithm>
#include <filesystem>

#include "berth/app/application.hpp"
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

std::filesystem::path schema_folder() { return Folders::find().share / "schemas"; }

std::vector<std::string> schema_types() {
    std::vector<std::string> types;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(schema_folder(), error)) {
        if (entry.path().extension() == ".json") types.push_back(entry.path().stem().string());
    }
    std::sort(types.begin(), types.end());
    return types;
}

Result<int> print_schema(Console& console, const std::string& type) {
    const auto types = schema_types();
    const auto full = type.starts_with("berth.") ? type : "berth." + type;
    if (std::find(types.begin(), types.end(), full) == types.end()) {
        std::string list;
        for (const auto& each : types) list += (list.empty() ? "" : ", ") + each;
        const auto near = nearest(full, types);
        return fail(Code::not_found, format("there is no document \"{}\"{}; there are {}", type, near.empty() ? "" : format(", did you mean {}?", near), list));
    }
    BERTH_TRY(const auto schema, read_file(schema_folder() / (full + ".json"), 1 << 20));
    console.print(as_text(schema));
    return 0;
}

Result<int> run(Context& context, const std::string& topic) {
    auto& console = context.console;
    if (topic.empty()) {
        if (console.format == Format::json) {
            for (const auto& verb : verbs()) console.line(JsonWriter().begin_object().member("$type", "berth.verb").member("name", verb.name).member("summary", verb.summary).end_object().text());
            return 0;
        }
        console.line("berth VERB [flags] FILE [guest arguments]; berth FILE is berth run FILE\n");
        for (const auto& verb : verbs()) console.line(format("  {:<10} {}", verb.name, verb.summary));
        console.line("\nberth VERB --help, berth help codes, capabilities, limits, schemas, or any code");
        return 0;
    }
    if (topic == "schemas") {
        for (const auto& type : schema_types()) {
            if (console.format == Format::json) {
                console.line(JsonWriter().begin_object().member("$type", "berth.schema").member("type", type).end_object().text());
            } else {
                console.line(type);
            }
        }
        return 0;
    }
    if (topic == "codes") {
        if (console.format == Format::json) {
            for (const auto& code : code_table) print_code(console, code);
            return 0;
        }
        for (const auto& code : code_table) console.line(format("{:<24} http {:<4} exit {:<4} {}", code.name, code.http, code.exit, code.sentence));
        return 0;
    }
    if (topic == "capabilities") {
        for (const auto& entry : capability_table) {
            if (console.format != Format::json) break;
            console.line(JsonWriter().begin_object().member("$type", "berth.capability").member("name", entry.name).member("scope", name(entry.scope)).member("sentence", entry.sentence).end_object().text());
        }
        if (console.format == Format::json) return 0;
        for (const auto& entry : capability_table) console.line(format("{:<16} {:<10} {}", entry.name, name(entry.scope), entry.sentence));
        return 0;
    }
    if (topic == "limits") {
        for (const auto& entry : limit_table) {
            if (console.format != Format::json) break;
            console.line(JsonWriter().begin_object().member("$type", "berth.limit").member("name", entry.name).member("bounds", entry.bounds).end_object().text());
        }
        if (console.format == Format::json) return 0;
        for (const auto& entry : limit_table) console.line(format("{:<15} {}", entry.name, entry.bounds));
        return 0;
    }
    if (const auto code = code_named(topic)) {
        print_code(console, row(*code));
        return 0;
    }
    std::vector<std::string_view> names{"codes", "capabilities", "limits", "schemas"};
    for (const auto& code : code_table) names.push_back(code.name);
    const auto near = nearest(topic, names);
    return fail(Code::not_found, format("there is no help on \"{}\"{}", topic, near.empty() ? "" : format("; did you mean {}?", near)));
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto topic = std::make_shared<std::string>();
    auto schema = std::make_shared<std::string>();
    auto* of_type = app.add_option("--schema", *schema, "the JSON Schema of a document of --format json")->type_name("TYPE");
    app.add_option("topic", *topic, "a code, or codes, capabilities, limits, schemas")->type_name("CODE|TOPIC");
    action = [&context, topic, schema, of_type] {
        if (of_type->count() != 0) return print_schema(context.console, *schema);
        return run(context, *topic);
    };
}

}  // namespace

const Verb help_verb{"help", "Explain a code or a topic", declare};

}  // namespace berth::cli
