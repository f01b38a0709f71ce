#pragma once

#include <string>

#include "berth/cli/verb.hpp"

namespace berth::cli {

/// One call of a function of a running host.
struct RemoteCall {
    std::string url;       // of the host, as it says at its start
    std::string token;     // sent as bearer; empty: none
    std::string function;
    std::string input;
};

/// Makes it and prints what comes back as if the call had been made here; the exit status that it would have had. --timeout of the context
/// shortens the call.
Result<int> call_remotely(Context& context, const RemoteCall& call);

}  // namespace berth::cli
