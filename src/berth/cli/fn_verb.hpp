#pragma once

#include <functional>
#include <string>
#include <vector>

#include "berth/app/function_set.hpp"
#include "berth/async/reactor.hpp"
#include "berth/cli/verb.hpp"
#include "berth/server/serving.hpp"

namespace berth::cli {

/// Parts of `berth fn`, one each; they add their flags to the subcommand and give what it does.
using FnPart = void (*)(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_new(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_list(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_invoke(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_dev(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_logs(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_check(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_build(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_reload(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_runtimes(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_doctor(CommandLine& app, Context& context, std::function<Result<int>()>& run);
void declare_fn_sdk(CommandLine& app, Context& context, std::function<Result<int>()>& run);

/// The functions of the configured folder, found and looked at but not served.
struct FoundFunctions {
    std::unique_ptr<Application> application;
    std::unique_ptr<Reactors> reactors;
    std::unique_ptr<FunctionSet> set;       // before the reactors go
    std::filesystem::path root;

    ~FoundFunctions();
    std::vector<FunctionRef> list() const;
};
enum class Builds : std::uint8_t { none, run };
Result<std::unique_ptr<FoundFunctions>> find_functions(Context& context, const std::string& root, Builds builds);

/// What `serve` is given for the folder of the configuration, in development unless the environment is production.
Result<ServeOptions> fn_serve_options(Context& context, Application& application, const std::string& root);

/// The folder that --dir, or else functions.path, names.
Result<std::filesystem::path> functions_root(Context& context, const std::string& given);

/// `python3 3.11.7` and so on for those that functions use, and the names of those that are missing.
struct RuntimeWords {
    std::string present, missing;
};
RuntimeWords runtime_words(const FunctionSet& set);

/// `2 ready, 1 build failed`: how many of them are in which state.
std::string state_words(const std::vector<FunctionRef>& functions);

/// One line about a log entry: `warn  text key=value`.
std::string log_line(const LogEntry& entry);

}  // namespace berth::cli
