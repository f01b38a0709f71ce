#include "berth/engine/native_error.hpp"

#include <memory>

namespace berth::native {

Code code_of(berth_error_kind kind) noexcept {
    switch (kind) {
        case BERTH_ERROR_INVALID_MODULE: return Code::invalid_module;
        case BERTH_ERROR_IMPORT_UNRESOLVED: return Code::import_unresolved;
        case BERTH_ERROR_POOL_EXHAUSTED: return Code::unavailable;
        case BERTH_ERROR_LIMIT: return Code::memory_limit;
        case BERTH_ERROR_CONFIGURATION: return Code::config_error;
        case BERTH_ERROR_NOT_FOUND: return Code::not_found;
        case BERTH_ERROR_INVALID_CODE: return Code::integrity_failed;
        case BERTH_ERROR_IO: return Code::io_error;
        case BERTH_ERROR_INTERNAL: break;
    }
    return Code::runtime_bug;
}

std::optional<Error> take(berth_error* error) {
    if (!error) return std::nullopt;
    const std::unique_ptr<berth_error, void (*)(berth_error*)> owned(error, berth_error_delete);
    std::size_t length = 0;
    const char* text = berth_error_message(error, &length);
    return Error(code_of(berth_error_kind_of(error)), std::string(text, length));
}

std::string take_text(berth_bytes bytes) {
    std::string text(reinterpret_cast<const char*>(bytes.data), bytes.size);
    berth_bytes_delete(bytes);
    return text;
}

}  // namespace berth::native
