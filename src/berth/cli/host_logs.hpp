#pragma once

#include <string>

#include "berth/cli/admin_client.hpp"

namespace berth::cli {

/// Which entries of a running host's logs are shown.
struct LogQuery {
    HostFlags host;
    std::string function, since, level, request_id;
    bool follow = false;
};
void add_log_flags(CommandLine& app, LogQuery& query);

/// Prints the entries that `address` (ending in `?` or `&`) gives; with `follow` goes on until it is interrupted.
Result<int> print_logs(Context& context, const LogQuery& query, const std::string& address);

}  // namespace berth::cli
