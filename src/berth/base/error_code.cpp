#include "berth/base/error_code.hpp"

namespace berth {

constexpr std::array<CodeRow, 81> code_table{{
    {Code::ok, "ok", 200, 0, Origin::none, Retry::no, "done"},
    {Code::bad_input, "bad_input", 400, 65, Origin::caller, Retry::no, "the input is not what the function takes"},
    {Code::unauthorized, "unauthorized", 401, 77, Origin::caller, Retry::no, "no valid credential"},
    {Code::forbidden, "forbidden", 403, 77, Origin::caller, Retry::no, "the credential is valid but does not allow this"},
    {Code::insufficient_funds, "insufficient_funds", 402, 75, Origin::caller, Retry::later, "the account cannot pay"},
    {Code::not_found, "not_found", 404, 68, Origin::caller, Retry::no, "no such function, route, export or object"},
    {Code::method_not_allowed, "method_not_allowed", 405, 68, Origin::caller, Retry::no, "the route exists for other methods"},
    {Code::file_not_found, "file_not_found", 404, 66, Origin::caller, Retry::no, "a file named on the command line or in configuration cannot be read"},
    {Code::not_acceptable, "not_acceptable", 406, 65, Origin::caller, Retry::no, "no representation that the caller accepts"},
    {Code::unsupported_media_type, "unsupported_media_type", 415, 65, Origin::caller, Retry::no, "the media type of the input is not taken"},
    {Code::request_timeout, "request_timeout", 408, 65, Origin::caller, Retry::yes, "the client was too slow"},
    {Code::conflict, "conflict", 409, 1, Origin::caller, Retry::yes, "the state changed underneath, or does not allow it"},
    {Code::payload_too_large, "payload_too_large", 413, 65, Origin::caller, Retry::no, "the body is over its size limit"},
    {Code::uri_too_long, "uri_too_long", 414, 65, Origin::caller, Retry::no, "the request target is over its size limit"},
    {Code::headers_too_large, "headers_too_large", 431, 65, Origin::caller, Retry::no, "the header block is over its size limit"},
    {Code::unprocessable, "unprocessable", 422, 65, Origin::caller, Retry::no, "understood but refused by the function"},
    {Code::rate_limited, "rate_limited", 429, 75, Origin::caller, Retry::yes, "too many requests; Retry-After says when"},
    {Code::concurrency_limit, "concurrency_limit", 429, 75, Origin::host, Retry::yes, "too many calls of this function at once; Retry-After says when"},
    {Code::cancelled, "cancelled", 499, 143, Origin::caller, Retry::yes, "the caller or operator stopped it"},
    {Code::internal, "internal", 500, 1, Origin::guest, Retry::no, "an error the guest did not handle"},
    {Code::bad_output, "bad_output", 500, 1, Origin::guest, Retry::no, "the result is not valid for its form"},
    {Code::output_too_large, "output_too_large", 500, 74, Origin::host, Retry::no, "the result passed its limit"},
    {Code::exit_nonzero, "exit_nonzero", 500, 1, Origin::guest, Retry::no, "the program ended with a failing status"},
    {Code::signaled, "signaled", 500, 128, Origin::guest, Retry::no, "a signal not sent by the host ended the program"},
    {Code::panic, "panic", 500, 1, Origin::guest, Retry::no, "the guest gave up"},
    {Code::deadlock, "deadlock", 500, 1, Origin::guest, Retry::no, "all tasks of the guest wait"},
    {Code::unhandled_message, "unhandled_message", 500, 1, Origin::guest, Retry::no, "no handler takes this message"},
    {Code::actor_stopped, "actor_stopped", 503, 1, Origin::guest, Retry::no, "the receiver is gone"},
    {Code::stack_overflow, "stack_overflow", 500, 134, Origin::host, Retry::no, "the depth limit was passed"},
    {Code::trap, "trap", 500, 134, Origin::host, Retry::no, "the guest trapped"},
    {Code::abi_violation, "abi_violation", 500, 134, Origin::host, Retry::no, "the guest broke its interface"},
    {Code::memory_limit, "memory_limit", 500, 137, Origin::host, Retry::no, "the memory limit was passed"},
    {Code::cpu_limit, "cpu_limit", 500, 124, Origin::host, Retry::no, "the fuel or processor time is used up"},
    {Code::timeout, "timeout", 504, 124, Origin::host, Retry::maybe, "the wall limit or deadline passed"},
    {Code::quota_exceeded, "quota_exceeded", 500, 134, Origin::host, Retry::no, "handles, host calls, pending operations or logs are over their limit"},
    {Code::capability_denied, "capability_denied", 500, 77, Origin::host, Retry::no, "no grant for this"},
    {Code::sandbox_violation, "sandbox_violation", 500, 77, Origin::host, Retry::no, "killed by the sandbox"},
    {Code::instance_terminated, "instance_terminated", 503, 75, Origin::host, Retry::yes, "the instance has ended"},
    {Code::invalid_module, "invalid_module", 400, 67, Origin::caller, Retry::no, "the module is refused before any of its code runs"},
    {Code::import_unresolved, "import_unresolved", 400, 67, Origin::caller, Retry::no, "the module imports what this world does not offer"},
    {Code::invalid_package, "invalid_package", 400, 67, Origin::caller, Retry::no, "the package is refused before any of its code runs"},
    {Code::version_unsupported, "version_unsupported", 400, 67, Origin::caller, Retry::no, "the format version cannot be read by this build"},
    {Code::integrity_failed, "integrity_failed", 400, 67, Origin::caller, Retry::no, "a hash differs"},
    {Code::signature_invalid, "signature_invalid", 403, 67, Origin::caller, Retry::no, "a signature is missing, wrong or unknown"},
    {Code::compile_failed, "compile_failed", 400, 1, Origin::caller, Retry::no, "the source does not compile; diagnostics follow"},
    {Code::function_invalid, "function_invalid", 500, 78, Origin::host, Retry::no, "the definition of the function is wrong"},
    {Code::config_error, "config_error", 500, 78, Origin::host, Retry::no, "the configuration is wrong"},
    {Code::secret_missing, "secret_missing", 500, 78, Origin::host, Retry::no, "a secret is not there"},
    {Code::model_error, "model_error", 500, 78, Origin::host, Retry::no, "a model cannot be loaded"},
    {Code::build_required, "build_required", 503, 69, Origin::host, Retry::no, "the function has to be built first"},
    {Code::build_failed, "build_failed", 503, 69, Origin::host, Retry::no, "the build step of the function failed"},
    {Code::runtime_not_found, "runtime_not_found", 503, 69, Origin::host, Retry::no, "a runtime that the function needs is not installed"},
    {Code::runtime_version, "runtime_version", 503, 69, Origin::host, Retry::no, "a runtime that the function needs has another version"},
    {Code::not_executable, "not_executable", 503, 69, Origin::host, Retry::no, "the entry cannot be executed"},
    {Code::sandbox_unavailable, "sandbox_unavailable", 503, 69, Origin::host, Retry::no, "the sandbox level cannot be had on this machine"},
    {Code::limit_unenforceable, "limit_unenforceable", 503, 69, Origin::host, Retry::no, "a limit cannot be enforced on this machine"},
    {Code::entry_not_found, "entry_not_found", 503, 66, Origin::host, Retry::no, "the entry file vanished"},
    {Code::not_implemented, "not_implemented", 501, 69, Origin::host, Retry::no, "this build or host does not offer it"},
    {Code::spawn_failed, "spawn_failed", 503, 71, Origin::host, Retry::yes, "the operating system refused to start a process"},
    {Code::cannot_bind, "cannot_bind", 503, 71, Origin::host, Retry::yes, "the operating system refused to bind an address"},
    {Code::queue_full, "queue_full", 503, 75, Origin::host, Retry::yes, "the queue is full; try again"},
    {Code::queue_timeout, "queue_timeout", 503, 75, Origin::host, Retry::yes, "the call waited too long for a slot; try again"},
    {Code::shutting_down, "shutting_down", 503, 75, Origin::host, Retry::yes, "the server is shutting down; try again"},
    {Code::host_restarted, "host_restarted", 503, 75, Origin::host, Retry::yes, "the host restarted during the call; try again"},
    {Code::unavailable, "unavailable", 503, 75, Origin::host, Retry::yes, "a part that the call needs is not available; try again"},
    {Code::upstream, "upstream", 502, 69, Origin::host, Retry::yes, "an outgoing call, peer or broker failed"},
    {Code::call_depth, "call_depth", 508, 69, Origin::host, Retry::no, "functions call each other too deeply"},
    {Code::load_timeout, "load_timeout", 504, 124, Origin::host, Retry::no, "validation or compilation took too long"},
    {Code::host_timeout, "host_timeout", 504, 124, Origin::host, Retry::yes, "the safety time-out of a deterministic call passed"},
    {Code::unknown_outcome, "unknown_outcome", 500, 75, Origin::host, Retry::no, "a crash left it open whether the effect happened"},
    {Code::replay_diverged, "replay_diverged", 409, 76, Origin::host, Retry::no, "not the recorded run"},
    {Code::journal_mismatch, "journal_mismatch", 409, 76, Origin::host, Retry::no, "the journal is of another module"},
    {Code::receipt_mismatch, "receipt_mismatch", 409, 76, Origin::host, Retry::no, "the rerun differs from the receipt"},
    {Code::journal_invalid, "journal_invalid", 400, 65, Origin::caller, Retry::no, "the journal is damaged"},
    {Code::receipt_invalid, "receipt_invalid", 400, 65, Origin::caller, Retry::no, "the receipt is damaged or forged"},
    {Code::storage_error, "storage_error", 500, 74, Origin::host, Retry::maybe, "the store failed"},
    {Code::io_error, "io_error", 500, 74, Origin::host, Retry::maybe, "a disk or stream failed"},
    {Code::cannot_create, "cannot_create", 500, 73, Origin::host, Retry::maybe, "an output file cannot be created"},
    {Code::storage_locked, "storage_locked", 503, 75, Origin::host, Retry::yes, "another process holds the store"},
    {Code::usage, "usage", 400, 2, Origin::caller, Retry::no, "wrong command line"},
    {Code::runtime_bug, "runtime_bug", 500, 70, Origin::host, Retry::no, "a defect in Berth; the report id is in the log"},
}};

namespace {

consteval bool table_in_order() {
    for (std::size_t i = 0; i < code_table.size(); ++i) {
        if (static_cast<std::size_t>(code_table[i].code) != i) return false;
    }
    return static_cast<std::size_t>(Code::runtime_bug) + 1 == code_table.size();
}
static_assert(table_in_order());

}  // namespace

const CodeRow& row(Code code) noexcept { return code_table[static_cast<std::size_t>(code)]; }

std::string_view name(Origin origin) noexcept {
    switch (origin) {
        case Origin::none: return "none";
        case Origin::guest: return "guest";
        case Origin::host: return "host";
        case Origin::caller: return "caller";
    }
    return "none";
}

std::string_view name(Retry retry) noexcept {
    switch (retry) {
        case Retry::no: return "no";
        case Retry::yes: return "yes";
        case Retry::maybe: return "maybe";
        case Retry::later: return "later";
    }
    return "no";
}

std::optional<Code> code_named(std::string_view name) noexcept {
    for (const auto& candidate : code_table) {
        if (candidate.name == name) return candidate.code;
    }
    return std::nullopt;
}

}  // namespace berth
