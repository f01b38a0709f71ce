#pragma once

#include <initializer_list>
#include <string>

#include "berth/cli/verb.hpp"
#include "berth/host/journal.hpp"
#include "berth/telemetry/log.hpp"

namespace berth::cli {

/// Has `redactor` hide what no view of the journals may show, in whatever entry it comes: every secret of this host, every
/// environment value that the recorded guest was given and that looks like a credential, and in what a program gave every member
/// that is called like a secret it was given, or like a credential. The journal itself keeps them: a replay needs them.
/// Fails when the configuration, which says where secrets are, cannot be read.
Result<void> hide_secrets(const Context& context, std::initializer_list<const Journal*> journals, Redactor& redactor);

/// Bytes in hexadecimal, with `[redacted:NAME]` where `redactor` hides something.
std::string hidden_hex(ByteView bytes, const Redactor& redactor);

}  // namespace berth::cli
