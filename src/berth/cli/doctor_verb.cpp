#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "berth/app/advisories.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/cli/doctor_findings.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/code_cache.hpp"
#include "berth/engine/wasm_engine.hpp"
#include "berth/process/tree_group.hpp"

namespace berth::cli {
namespace {

using Level = Finding::Level;

/// Runs a small module and looks at its answer: the engine is tried, not asked for its version.
Finding try_engine(Application& application) {
    constexpr std::string_view module = R"((module (memory 1) (func (export "sum") (result i32) (local $i i32) (local $s i32)
        (loop $l (local.set $s (i32.add (local.get $s) (local.get $i))) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const 10))))
        (local.get $s))))";
    const auto engine = application.engine();
    if (!engine) return {Level::problem, "engine", engine.error().full_message(), "see the limits of this machine: memory, max_map_count"};
    WasmProgramOptions options;
    options.settle = [](World) { return Result<ProgramTerms>(ProgramTerms{}); };
    const auto program = WasmProgram::load(*engine, application.worlds(), nullptr, as_bytes(module), options, no_progress());
    if (!program) return {Level::problem, "engine", program.error().full_message(), "report this"};
    return {Level::good, "engine", format("{} compiles and links", WasmEngine::version()), ""};
}

void look_at_engine(const EngineStatus& status, Findings& findings) {
    findings.push_back(status.signal_stop ? Finding{Level::good, "stop", "guests are stopped asynchronously; the self-test passed", ""}
                                          : Finding{Level::problem, "stop", "the self-test of the asynchronous stop failed; the slower epoch checks are used", "another part of this process may hold SIGURG"});
    findings.push_back(status.restore ? Finding{Level::good, "restore", "used instances are put back in place; the self-test passed", ""}
                                      : Finding{Level::note, "restore", "instances are made anew for each call", ""});
    if (status.page_scan) {
        findings.push_back({Level::good, "page scan", "used pool slots are reset by page-map scan", ""});
    } else if (status.swap_in_use) {
        findings.push_back({Level::note, "page scan", "off because swap is on: used pool slots are decommitted instead", "turn swap off for faster resets"});
    } else {
        findings.push_back({Level::note, "page scan", status.page_scan_in_kernel ? "off" : "this kernel has none: used pool slots are decommitted instead", "Linux 6.7 or newer has it"});
    }
    findings.push_back({Level::good, "pool", format("{} instances, {} stacks", status.instances, status.stacks), ""});
}

void look_at_cache(const ApplicationOptions& options, Findings& findings) {
    const auto folder = options.folders.cache / "code";
    struct stat raw{};
    if (options.folders.cache.empty()) {
        findings.push_back({Level::note, "cache", "no place for compiled code: neither XDG_CACHE_HOME nor HOME is set", "set one of them"});
    } else if (::stat(folder.c_str(), &raw) != 0) {
        findings.push_back({Level::good, "cache", format("{} (not there yet)", folder.string()), ""});
    } else if (raw.st_uid != ::geteuid()) {
        findings.push_back({Level::problem, "cache", format("{} belongs to another user; its files are ignored", folder.string()), format("chown it, or remove {}", folder.string())});
    } else if ((raw.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        findings.push_back({Level::problem, "cache", format("{} can be written by others", folder.string()), format("chmod go-w {}", folder.string()), [folder] { return ::chmod(folder.c_str(), 0700) == 0; }});
    } else {
        findings.push_back({Level::good, "cache", folder.string(), ""});
    }
    const auto key = options.folders.keys / "cache.key";
    if (!options.folders.keys.empty() && ::lstat(key.c_str(), &raw) == 0 && (!S_ISREG(raw.st_mode) || raw.st_uid != ::geteuid() || (raw.st_mode & 0077) != 0 || raw.st_size != 32)) {
        findings.push_back({Level::problem, "cache key", format("{} is no 32 bytes that only this user can read; nothing is kept on disk", key.string()), format("remove {}", key.string()),
                            [key] { return ::unlink(key.c_str()) == 0; }});
    }
}

/// Folders that a compilation of an earlier process left when it was killed.
void look_at_leftovers(Findings& findings) {
    std::error_code error;
    std::vector<std::filesystem::path> left;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path(error), error)) {
        struct stat raw{};
        if (!entry.path().filename().string().starts_with("berth-compile-") || ::lstat(entry.path().c_str(), &raw) != 0 || raw.st_uid != ::geteuid()) continue;
        // A compilation under way is younger than the longest one may take.
        if (::time(nullptr) - raw.st_mtime > 3600) left.push_back(entry.path());
    }
    if (left.empty()) return;
    findings.push_back({Level::problem, "leftovers", format("{} folders of compilations that were cut off, the first {}", left.size(), left.front().string()), "remove them", [left] {
                            std::error_code problem;
                            for (const auto& folder : left) std::filesystem::remove_all(folder, problem);
                            return !problem;
                        }});
}

/// How process trees are kept together, and what hosts that were killed have left of them.
void look_at_groups(Findings& findings) {
    const auto stale = TreeGroups::stale();
    std::string reason;
    if (!stale.empty()) {
        findings.push_back({Level::problem, "leaves", format("{} control groups of hosts that are gone, the first {}", stale.size(), stale.front()), "end what runs in them and remove them; the next host does that when it starts",
                            [] { return TreeGroups::clear_stale(); }});
    } else if (const auto groups = TreeGroups::open(reason)) {
        findings.push_back({Level::good, "tree kill", format("control groups below {}", groups->folder()), ""});
    } else {
        findings.push_back({Level::note, "tree kill", format("by process group: {}", reason), "with control groups a function cannot leave what is ended with it"});
    }
}

void look_at_advisories(const Application& application, Findings& findings) {
    const auto version = WasmEngine::version();
    const auto found = advisories_for(application.options().folders.share, version);
    if (!found) {
        findings.push_back({Level::problem, "advisories", found.error().full_message(), "install share/berth beside the binary's folder"});
    } else if (found->empty()) {
        findings.push_back({Level::good, "advisories", format("engine {} is on no list", version), ""});
    }
    for (const auto& each : found ? *found : std::vector<Advisory>{}) {
        findings.push_back({Level::problem, "advisories", format("engine {} falls under {}: {}", version, each.id, each.about), "install a newer Berth; production does not start with this one"});
    }
}

Result<void> look_at_all(Context& context, const Config& config, Application& application, Findings& findings) {
    findings.push_back(try_engine(application));
    if (const auto engine = application.engine()) look_at_engine((*engine)->status(), findings);
    look_at_advisories(application, findings);
    look_at_kernel(findings);
    look_at_sandbox(config, findings);
    look_at_groups(findings);
    look_at_cache(application.options(), findings);
    look_at_leftovers(findings);
    look_at_state(application.options().folders.state, findings);
    const auto& share = application.options().folders.share;
    const auto preset = read_preset("wasi", share / "policies");
    findings.push_back(preset ? Finding{Level::good, "presets", share.string(), ""} : Finding{Level::problem, "presets", preset.error().full_message(), "install share/berth beside the binary's folder"});
    context.console.detail("asking runtimes for their versions");
    return look_at_runtimes(config, application, "", findings);
}

Result<int> run(Context& context, const std::string& runtime, bool fix) {
    Findings findings;
    auto config = context.configuration();
    auto options = context.application_options();
    if (!config || !options) {
        // What does not depend on it is looked at all the same.
        findings.push_back({Level::problem, "settings", (config ? options.error() : config.error()).full_message(), "berth config check shows all of it"});
        config = Config::load({});
        options = ApplicationOptions();
        if (!context.state_dir.empty()) options->folders.state = context.state_dir;
    }
    BERTH_TRY(const auto configured, std::move(config));
    BERTH_TRY(const auto application, Application::create(std::move(*options)));
    if (!runtime.empty()) BERTH_TRYV(look_at_runtimes(configured, *application, runtime, findings));
    else BERTH_TRYV(look_at_all(context, configured, *application, findings));
    bool any = false;
    JsonWriter json;
    const bool as_json = context.console.format == Format::json;
    if (as_json) json.begin_object().member("$type", "berth.doctor").key("findings").begin_array();
    for (const auto& [level, what, found, remedy, mend] : findings) {
        const bool mended = fix && level == Level::problem && mend && mend();
        any = any || (level == Level::problem && !mended);
        const auto* word = mended ? "fixed" : level == Level::good ? "ok" : level == Level::note ? "note" : "problem";
        if (as_json) {
            json.begin_object().member("level", word).member("what", what).member("found", found);
            if (!remedy.empty()) json.member("remedy", remedy);
            if (mend && !mended) json.member("fixable", true);
            json.end_object();
        } else {
            context.console.line(terminal_safe(format("{:<8} {:<11} {}{}{}", word, what, found, remedy.empty() ? "" : "; " + remedy, mend && !mended ? " (--fix does it)" : "")));
        }
    }
    if (as_json) {
        json.end_array().end_object();
        context.console.line(json.text());
    }
    return any ? 1 : 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto runtime = std::make_shared<std::string>();
    auto fix = std::make_shared<bool>(false);
    app.add_flag("--fix", *fix, "mend what may be mended: own files and folders only");
    app.add_option("--runtime", *runtime, "look at one runtime only")->type_name("NAME");
    add_config_flags(app, context);
    app.add_option("--state-dir", context.state_dir, "where keys and records are kept")->envname("BERTH_STATE_DIR")->type_name("D");
    action = [&context, runtime, fix] { return run(context, *runtime, *fix); };
}

}  // namespace

const Verb doctor_verb{"doctor", "Try what this machine offers; 1 when something is wrong", declare};

}  // namespace berth::cli
