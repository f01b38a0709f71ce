#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/cli/verb.hpp"
#include "berth/net/http_ask.hpp"

namespace berth::cli {

/// Which running host a verb talks to, and as whom.
struct HostFlags {
    std::string url, token;
};
/// --url and --token.
void add_host_flags(CommandLine& app, HostFlags& flags);

/// The administrator's listener: --url, else admin.listen of the configuration, else where `berth dev` has it.
Result<std::string> admin_url(const Context& context, const HostFlags& flags);

/// `http`, or `https` where the configuration gives its listeners a certificate.
Result<std::string> host_scheme(const Context& context);

/// One request to a running host and its answer, whatever it is. Over https the host proves who it is: network.ca_file of the
/// configuration is trusted beside the system's certificates. `patience`: how long nothing may come.
Result<HttpAnswer> send_to_host(const Context& context, std::string_view url, std::string_view method, std::string_view body, std::vector<std::pair<std::string, std::string>> fields, std::chrono::seconds patience);

/// The same: its body when it was answered with 2xx; otherwise the failure that the host told.
Result<std::string> ask_host(const Context& context, std::string_view url, std::string_view method, const HostFlags& flags, std::string_view body = {});

}  // namespace berth::cli
