#include "berth/async/cancel.hpp"

namespace berth {

std::string_view name(CancelCause cause) noexcept {
    switch (cause) {
        case CancelCause::none: return "none";
        case CancelCause::cancelled: return "cancelled";
        case CancelCause::client_gone: return "client gone";
        case CancelCause::shutting_down: return "shutting down";
    }
    return "none";
}

Error CancelToken::error() const {
    switch (cause()) {
        case CancelCause::shutting_down: return Error(Code::shutting_down, "the host is shutting down; try again elsewhere or later");
        case CancelCause::client_gone: return Error(Code::cancelled, "the client went away before the answer");
        default: return Error(Code::cancelled, "stopped on request");
    }
}

}  // namespace berth
