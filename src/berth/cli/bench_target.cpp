#include "berth/cli/bench_target.hpp"

#include "berth/app/function_settings.hpp"
#include "berth/app/process_terms.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verb.hpp"
#include "berth/engine/component.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

bool is_module(const fs::path& file) { return file.extension() == ".wasm" || file.extension() == ".wat"; }

Runtime::Setup setup_of(Application& application, Reactors& reactors, unsigned at_once) {
    // All calls that are made at once have a place: what is measured is the call, and its line only where its own limit makes one.
    return {.clock = application.clock(), .metrics = application.metrics(), .reactors = &reactors, .bounds = [at_once](EngineKind) { return CallBounds{.running = at_once, .waiting = at_once}; }};
}

}  // namespace

Result<std::unique_ptr<BenchTarget>> BenchTarget::open(Context& context, Application& application, Reactors& reactors, const PolicyRequest& request, const std::string& what, const BenchCall& call) {
    std::unique_ptr<BenchTarget> target(new BenchTarget);
    target->name_ = what;
    target->entry_ = call.entry;
    target->arguments_ = call.arguments;
    target->input_ = call.input;
    if (is_module(what)) {
        BERTH_TRYV(target->open_module(context, application, request));
        target->runtime_ = std::make_unique<Runtime>(setup_of(application, reactors, call.at_once), std::vector<Engine*>{target->module_.get()});
    } else {
        if (!call.entry.empty() || !call.arguments.empty()) {
            Error problem(Code::usage, format("--call and arguments are for a module; {} is a function", what));
            problem.set_fix("--input JSON, or --input @FILE");
            return fail(std::move(problem));
        }
        if (!call.has_input) target->input_ = "{}";
        BERTH_TRYV(target->open_function(context, application, reactors, request, call));
    }
    return target;
}

Result<void> BenchTarget::open_module(Context& context, Application& application, const PolicyRequest& request) {
    const auto stem = fs::path(name_).stem().string();
    BERTH_TRY(const auto program, application.load(name_, stem, request, context.console.progress()));
    if (entry_.empty() && !program->is_command() && !arguments_.empty()) {
        // As in `berth run module.wasm add 1 2`: the export, then its arguments.
        entry_ = arguments_.front();
        arguments_.erase(arguments_.begin());
    }
    if (entry_.empty() && !program->is_command()) {
        Error problem(Code::usage, format("{} has no _start; name the export to call", name_));
        problem.set_fix(format("berth bench {} EXPORT [arguments]", name_));
        return fail(std::move(problem));
    }
    if (!entry_.empty() && program->component() != nullptr) return fail(Code::usage, format("{} is a component: it has no exports to call by --call; leave it out", name_));
    if (!entry_.empty()) BERTH_TRYV(program->entry(entry_));
    const bool handles_http = program->component() != nullptr && program->component()->handles_http();
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(const auto settings, FunctionSettings::from(configured, application));
    if (settings.pooled != 0 && entry_.empty() && !handles_http) {
        Error problem(Code::usage, format("{} is a command: each call of it has a fresh instance", name_));
        problem.set_fix("leave --isolation pooled out, or name an export of a module with --call");
        return fail(std::move(problem));
    }
    Function function{.name = stem, .world = std::string(berth::name(program->world_kind())), .limits = program->limits()};
    if (program->component() != nullptr) function.engine = EngineKind::component;
    function_ = std::make_shared<const Function>(std::move(function));
    kind_ = function_->world;
    if (settings.pooled != 0) isolation_ = "pooled";
    module_ = std::make_unique<WasmFunctions>(WasmHost{.clock = application.clock(),
                                                       .random = application.random(),
                                                       .network = application.network(),
                                                       .log = application.log(),
                                                       .environment = application.environment(),
                                                       .record_folder = {},
                                                       .metrics = [&application](World world) { return application.host_metrics(world); }},
                                              std::vector{WasmFunctions::Served{.function = function_, .program = program, .entry = {}, .arguments = {}, .pooled = settings.pooled}});
    return {};
}

Result<void> BenchTarget::open_function(Context& context, Application& application, Reactors& reactors, const PolicyRequest& request, const BenchCall& call) {
    BERTH_TRY(const auto configured, context.configuration());
    FunctionSet::Request wanted;
    BERTH_TRY(wanted.settings, FunctionSettings::from(configured, application));
    const auto pooled = wanted.settings.pooled;
    std::error_code error;
    const bool is_path = fs::is_regular_file(name_, error);
    wanted.paths.emplace_back(is_path ? name_ : call.folder.empty() ? configured.value("functions.path") : call.folder);
    const auto looked_at = wanted.paths.front().string();
    wanted.policy = request;
    const auto doing = [&] { return is_path ? std::string("reading its function") : format("looking for the function {}, since there is no such file", name_); };
    BERTH_TRY(functions_, FunctionSet::find(application, std::move(wanted), reactors, context.console.progress()) | note(doing));
    functions_->set_url("");  // nothing listens: functions get no way back
    runtime_ = std::make_unique<Runtime>(setup_of(application, reactors, call.at_once), functions_->engines());
    const auto all = runtime_->list();
    if (is_path && all.size() == 1) function_ = all.front();
    if (!is_path) function_ = runtime_->find(name_);
    if (!function_) {
        std::vector<std::string_view> names;
        std::string list;
        for (const auto& each : all) {
            names.push_back(each->name);
            list += (list.empty() ? "" : ", ") + each->name;
        }
        const auto near = is_path ? std::string_view() : nearest(name_, names);
        Error problem(Code::not_found, is_path ? format("{} holds {} functions{}, and one is measured", name_, all.size(), list.empty() ? "" : ": " + list)
                                               : format("there is no file and no function \"{}\" in {}{}", name_, looked_at, near.empty() ? "" : format("; did you mean {}?", near)));
        problem.set_fix(is_path ? format("berth bench --dir {} NAME", name_) : "--dir DIR names the folder of the function");
        return fail(std::move(problem));
    }
    if (request.production) BERTH_TRYV(refuse_in_production(functions_->production_problems(function_->name)));
    if (is_program()) BERTH_TRYV(refuse_for_program(process_terms(request, function_->name), function_->name));
    kind_ = is_program() ? function_->runtime : function_->world;
    isolation_ = is_program() ? "process" : pooled != 0 ? "pooled" : "fresh";
    return {};
}

Outcome BenchTarget::call(const CancelToken& cancel) {
    Call call;
    call.id = call.request_id = new_call_id();
    call.function = function_->name;
    call.entry = entry_;
    call.arguments = arguments_;
    call.input.bytes = input_;
    call.trigger = Trigger::cli;
    call.cancel = cancel;
    return sync_wait(runtime_->call(std::move(call)));
}

void BenchTarget::close() { sync_wait(runtime_->close(std::chrono::milliseconds(0))); }

}  // namespace berth::cli
