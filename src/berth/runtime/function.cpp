#include "berth/runtime/function.hpp"

namespace berth {

std::string_view name(EngineKind kind) noexcept {
    switch (kind) {
        case EngineKind::wasm: return "wasm";
        case EngineKind::component: return "component";
        case EngineKind::glyph: return "glyph";
        case EngineKind::stark: return "stark";
        case EngineKind::subprocess: return "subprocess";
    }
    return "wasm";
}

std::string_view name(FunctionState state) noexcept {
    switch (state) {
        case FunctionState::ready: return "ready";
        case FunctionState::invalid: return "invalid";
        case FunctionState::disabled: return "disabled";
        case FunctionState::build_required: return "build_required";
        case FunctionState::building: return "building";
        case FunctionState::build_failed: return "build_failed";
        case FunctionState::runtime_missing: return "runtime_missing";
        case FunctionState::draining: return "draining";
    }
    return "invalid";
}

bool is_function_name(std::string_view text) noexcept {
    if (text.empty() || text.size() > 63) return false;
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (!letter(text[0])) return false;
    for (const char c : text) {
        if (!letter(c) && (c < '0' || c > '9') && c != '_' && c != '-') return false;
    }
    for (const std::string_view reserved : {"reload", "stats", "events", "logs", "runtimes"}) {
        if (text == reserved) return false;
    }
    return !text.starts_with("berth-internal");
}

}  // namespace berth
