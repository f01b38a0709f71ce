#pragma once

#include "berth/cli/verb.hpp"

namespace berth::cli {

extern const Verb run_verb;
extern const Verb serve_verb;
extern const Verb dev_verb;
extern const Verb calls_verb;
extern const Verb logs_verb;
extern const Verb fn_verb;
extern const Verb inspect_verb;
extern const Verb world_verb;
extern const Verb policy_verb;
extern const Verb limits_verb;
extern const Verb config_verb;
extern const Verb doctor_verb;
extern const Verb cache_verb;
extern const Verb version_verb;
extern const Verb help_verb;
extern const Verb completion_verb;
extern const Verb new_verb;
extern const Verb bench_verb;
extern const Verb faults_verb;
extern const Verb new_verb;
extern const Verb check_verb;
extern const Verb invoke_verb;
extern const Verb replay_verb;
extern const Verb trace_verb;
extern const Verb receipt_verb;
extern const Verb keygen_verb;
extern const Verb sign_verb;
extern const Verb verify_verb;

}  // namespace berth::cli
