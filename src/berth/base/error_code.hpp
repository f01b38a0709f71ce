#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace berth {

/// The closed list of ways in which anything can fail; every failure that leaves a module has one of these.
/// Choose by what the caller can do about it. Sentence, HTTP and exit status, origin and retry are in `code_table`.
enum class Code : std::uint8_t {
    ok,
    bad_input,
    unauthorized,
    forbidden,
    insufficient_funds,
    not_found,
    method_not_allowed,
    file_not_found,
    not_acceptable,
    unsupported_media_type,
    request_timeout,
    conflict,
    payload_too_large,
    uri_too_long,
    headers_too_large,
    unprocessable,
    rate_limited,
    concurrency_limit,
    cancelled,
    internal,
    bad_output,
    output_too_large,
    exit_nonzero,
    signaled,
    panic,
    deadlock,
    unhandled_message,
    actor_stopped,
    stack_overflow,
    trap,
    abi_violation,
    memory_limit,
    cpu_limit,
    timeout,
    quota_exceeded,
    capability_denied,
    sandbox_violation,
    instance_terminated,
    invalid_module,
    import_unresolved,
    invalid_package,
    version_unsupported,
    integrity_failed,
    signature_invalid,
    compile_failed,
    function_invalid,
    config_error,
    secret_missing,
    model_error,
    build_required,
    build_failed,
    runtime_not_found,
    runtime_version,
    not_executable,
    sandbox_unavailable,
    limit_unenforceable,
    entry_not_found,
    not_implemented,
    spawn_failed,
    cannot_bind,
    queue_full,
    queue_timeout,
    shutting_down,
    host_restarted,
    unavailable,
    upstream,
    call_depth,
    load_timeout,
    host_timeout,
    unknown_outcome,
    replay_diverged,
    journal_mismatch,
    receipt_mismatch,
    journal_invalid,
    receipt_invalid,
    storage_error,
    io_error,
    cannot_create,
    storage_locked,
    usage,
    runtime_bug,
};

/// Who ended the call: the guest by itself, Berth, or nobody because the caller was refused first.
enum class Origin : std::uint8_t { none, guest, host, caller };

/// Whether repeating the same call unchanged can help.
enum class Retry : std::uint8_t { no, yes, maybe, later };

struct CodeRow {
    Code code;
    std::string_view name;      // wire name, lower_snake
    std::uint16_t http;         // status of an HTTP answer
    std::uint8_t exit;          // exit status; exit_nonzero and signaled pass the guest's own instead
    Origin origin;              // the usual one; a failure may carry another
    Retry retry;
    std::string_view sentence;  // what it means, for people
};

/// One row a code, in the order of the enumeration.
extern const std::array<CodeRow, 81> code_table;

const CodeRow& row(Code code) noexcept;
inline std::string_view name(Code code) noexcept { return row(code).name; }
std::string_view name(Origin origin) noexcept;
std::string_view name(Retry retry) noexcept;

/// The code with this wire name, if there is one.
std::optional<Code> code_named(std::string_view name) noexcept;

}  // namespace berth
