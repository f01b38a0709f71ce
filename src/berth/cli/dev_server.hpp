#pragma once

#include <functional>
#include <string>

#include "berth/cli/verb.hpp"
#include "berth/server/serving.hpp"

namespace berth::cli {

/// What a server asks when it is told to reload: the configuration as the same flags and files give it now. `context` and
/// `application` outlive the server.
std::function<Result<Reconfigured>()> reconfigure(const Context& context, Application& application, std::string default_admin = {});

/// Has every call recorded in the folder of --record, which is made; nothing without one.
Result<void> record_calls(const Context& context, ApplicationOptions& options);

/// `berth dev` and `berth fn dev`: a server that watches its functions, swaps versions and says what changed.
struct DevArguments {
    std::string root, host, port;
    bool no_watch = false;
};
void add_dev_flags(CommandLine& app, Context& context, DevArguments& arguments);
Result<int> run_dev(Context& context, const DevArguments& arguments);

}  // namespace berth::cli
