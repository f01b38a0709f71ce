#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/fn_verb.hpp"
#include "berth/runtime/entry_rules.hpp"
#include "berth/runtime/function.hpp"

namespace berth::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view later_templates[] = {"webhook", "schedule"};

struct Arguments {
    std::string name, runtime, chosen = "hello", root, language, out;
    bool plain = false, single = false;
};

Result<fs::path> share_folder(Context& context, std::string_view what) {
    BERTH_TRY(const auto options, context.application_options());
    auto folder = options.folders.share / what;
    std::error_code ignored;
    if (options.folders.share.empty() || !fs::is_directory(folder, ignored)) return fail(Code::file_not_found, format("the data that comes with berth is not beside it: no {}", folder.string()));
    return folder;
}

/// Which language an SDK is for, by the runtime that asks for it.
std::string_view language_of(std::string_view runtime) {
    if (runtime == "node" || runtime == "deno" || runtime == "bun") return "js";
    if (runtime == "python" || runtime == "go" || runtime == "ruby" || runtime == "rust") return runtime;
    return {};
}

/// Files below a folder, relative, sorted.
std::vector<fs::path> files_of(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink, ignored)) {
        if (entry.is_regular_file(ignored)) files.push_back(entry.path().lexically_relative(folder));
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// The files of an SDK that a function of this runtime needs.
std::vector<fs::path> sdk_files(const fs::path& folder, std::string_view runtime) {
    auto files = files_of(folder);
    if (runtime == "js" || language_of(runtime) != "js") return files;
    std::erase_if(files, [](const fs::path& file) { return file.extension() == ".cjs"; });
    return files;
}

Result<void> write_file(Console& console, const fs::path& to, std::string_view text, bool executable) {
    std::error_code problem;
    fs::create_directories(to.parent_path(), problem);
    std::ofstream file(to, std::ios::binary);
    file << text;
    file.close();
    if (!file) return fail(Code::cannot_create, format("{} cannot be written", to.string()));
    if (executable) ::chmod(to.c_str(), 0755);
    if (console.format == Format::json) {
        console.line(JsonWriter().begin_object().member("$type", "berth.created").member("file", to.string()).end_object().text());
    } else {
        console.line(format("created {}", to.string()));
    }
    return {};
}

std::string with_name(std::string text, const std::string& name) {
    constexpr std::string_view mark = "@NAME@";
    for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += name.size()) text.replace(at, mark.size(), name);
    return text;
}

Result<int> create(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    if (!is_function_name(arguments.name)) return fail(Code::usage, format("\"{}\" is no function name: letters, digits, _ and -, a letter first, at most 63, none of the reserved ones", arguments.name));
    if (std::find(std::begin(later_templates), std::end(later_templates), arguments.chosen) != std::end(later_templates)) return fail(Code::not_implemented, format("the template {} is not offered by this build", arguments.chosen));
    BERTH_TRY(const auto templates, share_folder(context, "templates"));
    BERTH_TRY(const auto root, functions_root(context, arguments.root));
    std::error_code ignored;
    if (!fs::is_directory(templates / arguments.chosen, ignored) || arguments.chosen.find('/') != std::string::npos)
        return fail(Code::usage, format("there is no template \"{}\"; there are hello, upload, typescript and c", arguments.chosen));
    std::string runtime = arguments.runtime;
    if (arguments.chosen == "typescript" && runtime.empty()) runtime = "node";
    if (arguments.chosen == "c" && runtime.empty()) runtime = "exec";
    if (arguments.chosen == "upload" && runtime.empty()) runtime = "python";
    if (runtime.empty()) return fail(Code::usage, "--runtime says which language: bun, deno, go, node, python, ruby or rust");
    const bool plain = arguments.plain || arguments.chosen == "c" || arguments.chosen == "typescript";
    const auto source = templates / (arguments.chosen + (arguments.plain && arguments.chosen == "hello" ? "-plain" : "")) / runtime;
    if (!fs::is_directory(source, ignored)) {
        std::string known;
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(source.parent_path(), ignored)) names.push_back(entry.path().filename().string());
        std::sort(names.begin(), names.end());
        for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
        return fail(Code::usage, format("the template {} is not there for {}; it is for {}", arguments.chosen, runtime, known));
    }
    const auto files = files_of(source);
    std::vector<std::pair<fs::path, fs::path>> copies;  // from, to
    if (arguments.single) {
        if (!plain || files.size() > 2) return fail(Code::usage, "--single-file is for plain functions of one file; add --plain");
        for (const auto& file : files) {
            if (file.filename() == "manifest.yaml") continue;
            copies.emplace_back(source / file, root / (arguments.name + file.extension().string()));
        }
    } else {
        const auto folder = root / arguments.name;
        // The entry first, then the SDK, then the rest.
        std::vector<fs::path> late;
        for (const auto& file : files) {
            if (file.filename() == "manifest.yaml" || file.filename() == "go.mod") late.push_back(file);
            else copies.emplace_back(source / file, folder / file);
        }
        if (!plain) {
            BERTH_TRY(const auto sdk, share_folder(context, "sdk"));
            const auto language = language_of(runtime);
            for (const auto& file : sdk_files(sdk / language, runtime)) copies.emplace_back(sdk / language / file, folder / file);
        }
        for (const auto& file : late) copies.emplace_back(source / file, folder / file);
        if (fs::exists(folder, ignored)) return fail(Code::conflict, format("{} exists already; nothing is overwritten", folder.string()));
    }
    for (const auto& [from, to] : copies) {
        if (fs::exists(to, ignored)) return fail(Code::conflict, format("{} exists already; nothing is overwritten", to.string()));
    }
    for (const auto& [from, to] : copies) BERTH_TRYV(write_file(console, to, with_name(read_text_file(from, 16 << 20), arguments.name), looks_executable(from)));
    if (console.format == Format::json) return 0;
    const auto where = arguments.root.empty() ? std::string() : format(" --dir {}", arguments.root);
    console.line(arguments.chosen == "upload" ? format("try: berth fn dev{}, then curl -F file=@README.md localhost:8080/api/functions/{}", arguments.root.empty() ? "" : " " + arguments.root, arguments.name)
                                              : format("try: berth fn invoke {}{} -d '{{\"name\":\"Ada\"}}'", arguments.name, where));
    return 0;
}

Result<int> sdk(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    BERTH_TRY(const auto folder, share_folder(context, "sdk"));
    const auto language = language_of(arguments.language).empty() ? std::string_view(arguments.language) : language_of(arguments.language);
    std::error_code ignored;
    if (!fs::is_directory(folder / language, ignored) || language.find('/') != std::string_view::npos || language.empty()) return fail(Code::usage, format("there is no SDK for \"{}\"; there are js, python, go, ruby and rust",
        arguments.language));
    const fs::path out = arguments.out.empty() ? "." : arguments.out;
    for (const auto& file : files_of(folder / language)) {
        if (fs::exists(out / file, ignored)) return fail(Code::conflict, format("{} exists already; nothing is overwritten", (out / file).string()));
    }
    for (const auto& file : files_of(folder / language)) BERTH_TRYV(write_file(console, out / file, read_text_file(folder / language / file, 16 << 20), false));
    return 0;
}

}  // namespace

void declare_fn_new(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("name", arguments->name, "the function")->required()->type_name("NAME");
    app.add_option("--runtime", arguments->runtime, "bun, deno, go, node, python, ruby or rust")->type_name("R");
    app.add_option("--template", arguments->chosen, "hello, upload, typescript or c (hello)")->type_name("T");
    app.add_flag("--plain", arguments->plain, "without SDK");
    app.add_flag("--single-file", arguments->single, "one file instead of a folder; with --plain");
    app.add_option("--dir", arguments->root, "folder of functions (functions.path)")->type_name("ROOT");
    add_config_flags(app, context);
    run = [&context, arguments] { return create(context, *arguments); };
}

void declare_fn_sdk(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("--lang", arguments->language, "js, python, go, ruby or rust")->required()->type_name("X");
    app.add_option("--out", arguments->out, "folder (.)")->type_name("DIR");
    add_config_flags(app, context);
    run = [&context, arguments] { return sdk(context, *arguments); };
}

}  // namespace berth::cli
