#pragma once

#include <string>

#include "berth/cli/admin_client.hpp"
#include "berth/cli/verb.hpp"

namespace berth {
class HostTable;
}

namespace berth::cli {

/// What `berth policy explain` was asked about.
struct Explained {
    std::string what;    // a module, a function, a journal, or the id of a call
    std::string folder;  // of functions; empty: functions.path
    HostFlags host;    // that may remember the call
};

void declare_explain(CommandLine& app, Context& context, Explained& explained);

/// Of a module what it asks for and gets; of a program what is ambient as well; of a call what it was refused, by which rule, and the line to add. A file is what it
/// is named; otherwise the id of a call is looked for among the journals of `--record` and of the state folder, and then in the
/// memory of a running host. Fails with not_found when none of them knows it, naming all of them.
Result<int> explain(Context& context, const Explained& explained);

/// The host functions of a world by its name in a journal; null: none that this build knows.
const HostTable* journal_table(const Application& application, std::string_view world);

}  // namespace berth::cli
