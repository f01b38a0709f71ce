#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/runtime/execution_record.hpp"
#include "berth/runtime/process_function.hpp"
#include "berth/runtime/subprocess_envelope.hpp"
#include "berth/runtime/subprocess_parts.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

std::int64_t milliseconds(std::chrono::nanoseconds duration) { return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(); }

/// The command line: program, the runtime's arguments or those of the manifest, entry, arguments of the manifest.
std::vector<std::string> arguments_of(const ProcessFunction& function, const std::string& program, const std::string& cache) {
    const auto& manifest = function.found.manifest;
    const auto& runtime = *function.run_with;
    const auto relative = "./" + function.run_entry;
    if (runtime.command.empty()) {
        std::vector<std::string> own{relative};
        own.insert(own.end(), manifest.args.begin(), manifest.args.end());
        return own;
    }
    std::error_code ignored;
    // A Go module is a package of several files.
    const bool module = runtime.name == "go" && !runtime.prepare && fs::exists(function.run_folder / "go.mod", ignored);
    const CommandWords words{.entry = module ? "." : relative, .dir = function.run_folder.string(), .cache = cache, .name = function.name};
    std::vector<std::string> all{program};
    bool placed = runtime.prepare.has_value();
    for (const auto& argument : manifest.runtime_args ? *manifest.runtime_args : runtime.args) {
        placed = placed || argument.find("{entry}") != std::string::npos;
        all.push_back(with_words(argument, words));
    }
    if (!placed) all.push_back(words.entry);
    all.insert(all.end(), manifest.args.begin(), manifest.args.end());
    return all;
}

}  // namespace

SubprocessEngine::Variables SubprocessEngine::variables_of(const ProcessFunction& function) const {
    // Weakest first; a name that comes again replaces the one before.
    Variables variables;
    variables["PATH"] = "/usr/local/bin:/usr/bin:/bin";
    variables["HOME"] = options_.home.empty() ? "/nonexistent" : options_.home.string();
    variables["LANG"] = "C.UTF-8";
    variables["NO_COLOR"] = "1";
    const auto pass = [&](const auto& names) {
        for (const auto& name : names) {
            if (const auto value = options_.environment.find(name); value != options_.environment.end()) variables[std::string(name)] = value->second;
        }
    };
    pass(host_variables);
    pass(function.run_with->env_pass);
    if (function.found.runtime) pass(function.found.runtime->env_pass);
    pass(options_.env_pass);
    pass(function.found.manifest.env_pass);
    for (const auto& [name, value] : function.run_with->env) variables[name] = value;
    for (const auto& [name, value] : function.env) variables[name] = value;
    for (const auto& [name, value] : function.secrets) {
        if (std::find(function.secrets_in_environment.begin(), function.secrets_in_environment.end(), name) != function.secrets_in_environment.end()) variables[name] = value;
    }
    return variables;
}

ProcessPlan SubprocessEngine::plan_of(const ProcessFunction& function, const Call& call, const std::string& request_id, const Prepared& prepared, const std::string& token, std::string_view input,
                                      std::shared_ptr<PayloadBuffer> large) const {
    const auto& manifest = function.found.manifest;
    const auto& limits = function.limits;
    ProcessPlan plan;
    plan.groups = groups_;
    plan.drain = options_.drain;
    plan.payloads = options_.payloads;
    plan.timeout = std::chrono::nanoseconds(std::min({limits[Limit::wall], call.tighten[Limit::wall], std::uint64_t{900'000'000'000}}));
    plan.deadline = call.deadline.value_or(SteadyTime::max());
    plan.kill_grace = manifest.kill_grace;
    plan.output_limit = std::min({limits[Limit::output], call.tighten[Limit::output], std::uint64_t{256} << 20});
    if (limits.bounds(Limit::stderr_bytes)) plan.errors_kept = limits[Limit::stderr_bytes];
    const auto bound = [&](Limit limit) -> std::optional<std::uint64_t> {
        const auto least = std::min(limits[limit], call.tighten[limit]);
        return least == Limits::unlimited ? std::nullopt : std::optional(least);
    };
    plan.memory = bound(Limit::memory);
    plan.processes = bound(Limit::processes);

    auto& launch = plan.launch;
    launch.program = prepared.program;
    launch.directory = function.run_folder.string();
    launch.no_new_privileges = options_.no_new_privileges;
    launch.user = options_.run_as;
    launch.arguments = arguments_of(function, prepared.program, prepared.cache);
    if (const auto files = bound(Limit::open_files)) launch.open_files_soft = launch.open_files_hard = *files;
    if (const auto cpu = bound(Limit::cpu_time)) {
        launch.cpu_seconds = std::max<std::uint64_t>(1, *cpu / 1'000'000'000);
        plan.cpu = std::chrono::nanoseconds(*cpu);
    }
    if (const auto size = bound(Limit::file_size)) launch.file_size = *size;

    auto variables = variables_of(function);
    const auto now = std::chrono::steady_clock::now();
    const auto deadline = std::min(now + plan.timeout, plan.deadline);
    const auto deadline_ms = milliseconds(std::chrono::system_clock::now().time_since_epoch() + (deadline - now));
    std::string url;
    {
        const std::lock_guard lock(mutex_);
        url = url_;
    }
    variables["ALYX_FUNCTION_NAME"] = function.name;
    variables["ALYX_REQUEST_ID"] = request_id;
    variables["ALYX_RUNTIME"] = function.runtime;
    variables["ALYX_FUNCTION_DIR"] = function.run_folder.string();
    variables["ALYX_ENTRYPOINT"] = function.run_entry;
    variables["ALYX_URL"] = url;
    variables["ALYX_TIMEOUT_MS"] = std::to_string(milliseconds(plan.timeout));
    variables["ALYX_DEADLINE_MS"] = std::to_string(deadline_ms);
    if (plan.memory) variables["ALYX_MEMORY_MB"] = std::to_string(*plan.memory >> 20);
    variables["ALYX_TRIGGER"] = trigger_word(call.trigger);
    variables["ALYX_DEV"] = options_.development ? "1" : "0";
    variables["ALYX_PROTOCOL"] = "1";
    if (!call.trace_parent.empty()) variables["TRACEPARENT"] = call.trace_parent;
    if (!call.trace_state.empty()) variables["TRACESTATE"] = call.trace_state;
    if (!call.baggage.empty()) variables["BAGGAGE"] = call.baggage;
    for (const auto& [name, value] : variables) launch.environment.push_back(format("{}={}", name, value));
    plan.mark = "ALYX_REQUEST_ID=" + request_id;

    EnvelopeRequest request;
    request.request_id = request_id;
    request.function = function.name;
    request.input = input;
    request.env = &function.env;
    request.secrets = &function.secrets;
    request.auth = call.auth.get();
    request.url = url;
    request.token = token;
    const auto add_extra = [&](std::string_view extra) {
        if (extra == "function") request.with_function = true;
        if (extra == "trigger") {
            request.trigger = trigger_word(call.trigger);
            request.trigger_id = call.id;
        }
        if (extra == "deadline") request.deadline_ms = deadline_ms;
        if (extra == "trace") request.trace_parent = call.trace_parent;
    };
    for (const auto& extra : options_.request_extras) add_extra(extra);
    for (const auto& extra : manifest.request_extras) add_extra(extra);
    plan.input = std::make_shared<ProcessInput>();
    std::size_t input_at = 0;
    plan.input->text = envelope_request(request, &input_at);
    if (large) {
        plan.input->after = plan.input->text.substr(input_at);
        plan.input->text.resize(input_at);
        plan.input->large = std::move(large);
    }
    return plan;
}

}  // namespace berth
