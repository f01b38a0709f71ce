#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/app/application.hpp"

namespace berth {

/// What a request means for one function that is a program: what bounds it, and what of the request cannot hold for it,
/// because programs run with the rights of their user.
struct ProcessTerms {
    const Policy* policy = nullptr;        // that fits, in the request; null: none does
    Limits written;                        // the smallest bound of flags, configuration and policy
    std::vector<std::string> unenforced;   // limits that nothing holds it to, and where each is written
    std::vector<std::string> unused;       // flags and parts of the policy that a program cannot be given
    std::vector<std::pair<std::string, std::string>> environment;  // variables of the request
};
ProcessTerms process_terms(const PolicyRequest& request, std::string_view function);

/// Fails with limit_unenforceable or not_implemented that names all of the request that cannot hold for this program.
Result<void> refuse_for_program(const ProcessTerms& terms, std::string_view function);

}  // namespace berth
