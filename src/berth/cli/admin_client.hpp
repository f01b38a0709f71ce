#pragma once

#include <string>
#include <string_view>

#include "berth/cli/verb.hpp"

namespace berth::cli {

/// Which running host a verb talks to, and as whom.
struct HostFlags {
    std::string url, token;
};
/// --url and --token.
void add_host_flags(CLI::App& app, HostFlags& flags);

/// The administrator's listener: --url, else admin.listen of the configuration, else where `berth dev` has it.
Result<std::string> admin_url(const Context& context, const HostFlags& flags);

/// One request to a running host. Its body when it was answered with 2xx; otherwise the failure that the host told.
Result<std::string> ask_host(std::string_view url, std::string_view method, const HostFlags& flags, std::string_view body = {});

}  // namespace berth::cli
