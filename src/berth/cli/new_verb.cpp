#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/runtime/function.hpp"
#include "berth/runtime/receipt_writer.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

struct Template {
    std::string_view name, about, input;  // what to call the result with
};
constexpr std::array templates{Template{"c", "a WASI command in C", R"({"name":"Ada"})"},
                               Template{"go", "a WASI command in Go", R"({"name":"Ada"})"},
                               Template{"rust", "a WASI command in Rust", R"({"name":"Ada"})"},
                               Template{"assemblyscript", "an export with numbers in AssemblyScript", "[20,22]"},
                               Template{"javascript", "a component in JavaScript", "{}"}};

std::string with_name(std::string text, const std::string& name) {
    constexpr std::string_view mark = "@NAME@";
    for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += name.size()) text.replace(at, mark.size(), name);
    return text;
}

Result<int> create(Context& context, const std::string& name, const std::string& wanted) {
    auto& console = context.console;
    if (!is_function_name(name)) return fail(Code::usage, format("\"{}\" is no function name: letters, digits, _ and -, a letter first, at most 63, none of the reserved ones", name));
    const auto* chosen = std::find_if(templates.begin(), templates.end(), [&](const Template& each) { return each.name == wanted; });
    if (chosen == templates.end()) {
        std::vector<std::string_view> names;
        std::string list;
        for (const auto& each : templates) {
            names.push_back(each.name);
            list += (list.empty() ? "" : ", ") + std::string(each.name);
        }
        const auto near = nearest(wanted, names);
        return fail(Code::usage, format("there is no template \"{}\"{}; there are {}. berth fn new makes functions that are programs", wanted, near.empty() ? "" : format(", did you mean {}?", near), list));
    }
    const auto source = Folders::find().share / "templates" / "wasm" / chosen->name;
    std::error_code error;
    if (!fs::is_directory(source, error)) return fail(Code::file_not_found, format("the data that comes with berth is not beside it: no {}", source.string()));
    if (fs::exists(name, error)) return fail(Code::conflict, format("{} exists already; nothing is overwritten", name));
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(source, fs::directory_options::follow_directory_symlink, error)) {
        if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(source));
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
        const auto to = fs::path(name) / file;
        fs::create_directories(to.parent_path(), error);
        BERTH_TRY(const auto bytes, read_file(source / file, 1 << 20));
        const auto text = with_name(std::string(as_text(bytes)), name);
        BERTH_TRYV(write_file(to, as_bytes(text)));
        if (file.extension() == ".sh") ::chmod(to.c_str(), 0755);
        if (console.format == Format::json) {
            console.line(JsonWriter().begin_object().member("$type", "berth.created").member("file", to.string()).end_object().text());
        } else {
            console.line(format("created {}", to.string()));
        }
    }
    if (console.format == Format::json) return 0;
    console.line(format("next: {}/build.sh", name));
    console.line(format("then: berth invoke {0} {0}/functions --input '{1}'", name, chosen->input));
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto name = std::make_shared<std::string>();
    auto chosen = std::make_shared<std::string>("c");
    app.add_option("name", *name, "of the function, and of the folder that is made")->required()->type_name("NAME");
    app.add_option("-t,--template", *chosen, "c, go, rust, assemblyscript or javascript (c)")->type_name("TEMPLATE");
    action = [&context, name, chosen] { return create(context, *name, *chosen); };
}

}  // namespace

const Verb new_verb{"new", "Begin a wasm function: sources, and how they are built", declare};

}  // namespace berth::cli
