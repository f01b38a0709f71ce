#include "berth/app/process_terms.hpp"

#include "berth/base/format.hpp"
#include "berth/runtime/manifest_reader.hpp"

namespace berth {

namespace {

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
    return text;
}

}  // namespace

ProcessTerms process_terms(const PolicyRequest& request, std::string_view function) {
    ProcessTerms terms;
    const auto take = [&](const Limits& limits, std::string_view where) {
        for (const auto& entry : limit_table) {
            if (limits.bounds(entry.limit) && process_limit_enforcement(entry.limit).empty()) terms.unenforced.push_back(format("the limit {} of {}", entry.name, where));
        }
        terms.written.tighten(limits);
    };
    take(request.limits, "the command line");
    if (const auto configured = request.world_limits.find("subprocess"); configured != request.world_limits.end()) take(configured->second, "limits.subprocess");
    if (!request.deny_all) terms.policy = choose_policy(request.written, {.world = "subprocess", .name = function, .digest = nullptr, .signer = {}});
    if (const auto* policy = terms.policy) {
        take(policy->limits, policy->from);
        if (!policy->mounts.empty()) terms.unused.push_back(format("mounts of {}", policy->from));
        if (!policy->trust.empty()) terms.unused.push_back(format("trust of {}", policy->from));
        if (policy->deterministic == Deterministic::force) terms.unused.push_back(format("deterministic of {}", policy->from));
    }
    if (request.deny_all) terms.unused.emplace_back("--deny-all");
    for (const auto& allowed : request.allow) terms.unused.push_back("--allow " + allowed);
    for (const auto& mount : request.mounts) terms.unused.push_back("--mount " + mount);
    for (const auto& variable : request.environment) {
        const auto equals = variable.find('=');
        const auto name = variable.substr(0, equals);
        if (equals == std::string::npos || !is_variable_name(name) || name.starts_with("ALYX_")) terms.unused.push_back("--env " + name);
        else terms.environment.emplace_back(name, variable.substr(equals + 1));
    }
    return terms;
}

Result<void> refuse_for_program(const ProcessTerms& terms, std::string_view function) {
    if (!terms.unenforced.empty()) {
        Error error(Code::limit_unenforceable, format("function \"{}\" is a program, and nothing holds programs to {}", function, joined(terms.unenforced)));
        error.set_fix("leave it out; berth limits --function NAME shows what is enforced and how");
        return fail(std::move(error));
    }
    if (!terms.unused.empty()) {
        Error error(Code::not_implemented, format("function \"{}\" is a program and runs with the rights of its user: {} cannot hold for it", function, joined(terms.unused)));
        error.set_fix("leave it out, or write a module, which gets what a policy grants and nothing else");
        return fail(std::move(error));
    }
    return {};
}

}  // namespace berth
