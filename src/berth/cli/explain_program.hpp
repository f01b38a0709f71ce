#pragma once

#include <optional>
#include <string>

#include "berth/cli/verb.hpp"
#include "berth/runtime/discovery.hpp"

namespace berth::cli {

/// The function that `what` names: its file, its folder, or its name in `folder` (empty: functions.path). Nothing: a file that is none, or
/// a name where there is no such folder. Fails with not_found for a name that none of the folder has.
Result<std::optional<DiscoveredFunction>> find_function(Context& context, Application& application, const std::string& what, const std::string& folder);

/// What a program gets and by which rule, and what is ambient: what no policy holds back, since nothing encloses it.
Result<int> explain_program(Context& context, Application& application, const DiscoveredFunction& found);

/// The same of a recorded call, of which only what is ambient is known.
void explain_program_call(Context& context, const std::string& function);

}  // namespace berth::cli
