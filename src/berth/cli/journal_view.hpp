#pragma once

#include "berth/host/journal.hpp"
#include "berth/telemetry/log.hpp"

namespace berth::cli {

/// Has `redactor` hide every environment value that the recorded guest was given and that looks like a credential, so that
/// no view of the journal shows it, in whatever entry it comes again. The journal itself keeps it: a replay needs it.
void hide_credentials(const Journal& journal, Redactor& redactor);

}  // namespace berth::cli
