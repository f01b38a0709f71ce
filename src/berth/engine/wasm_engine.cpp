#include "berth/engine/wasm_engine.hpp"

#include "berth/base/sanitizers.hpp"
#include "berth/engine/native_error.hpp"
#include "berth/engine/watchdog.hpp"

namespace berth {

namespace {

std::uint8_t to_native(Choice choice) noexcept {
    switch (choice) {
        case Choice::off: return BERTH_OFF;
        case Choice::on: return BERTH_ON;
        case Choice::automatic: break;
    }
    return BERTH_AUTO;
}

std::uint8_t to_native(StopMethod method) noexcept {
    switch (method) {
        case StopMethod::signal: return BERTH_STOP_SIGNAL;
        case StopMethod::epochs: return BERTH_STOP_EPOCHS;
        case StopMethod::automatic: break;
    }
    return BERTH_STOP_AUTO;
}

berth_engine_options to_native(const EngineOptions& options) noexcept {
    berth_engine_options native{};
    native.simd = options.simd;
    native.relaxed_simd = options.relaxed_simd;
    native.relaxed_simd_deterministic = options.relaxed_simd_deterministic;
    native.nan_canonicalisation = options.nan_canonicalisation;
    native.engine_fuel = options.engine_fuel;
    native.backtraces = options.backtraces;
    native.inlining = options.inlining;
    native.pooling = to_native(options.pooling);
    native.page_scan = to_native(options.page_scan);
    native.stop_method = to_native(options.stop);
    native.restore = options.restore;
    native.plain_pooling = options.plain_pooling;
    native.components = options.components;
    native.instances = options.instances;
    native.stacks = options.stacks;
    native.restore_slots = options.restore_slots;
    native.restore_pages = options.restore_pages;
    native.memory_size = options.memory_size;
    native.table_elements = options.table_elements;
    native.tables = options.tables;
    native.guest_stack = options.guest_stack;
    native.host_stack = options.host_stack;
    return native;
}

/// A pool reserves the largest memory for each of its slots, 8 TiB as the machine chooses them. The thread sanitizer leaves a
/// program 1.5 TiB, in which the four engines of an application must fit.
EngineOptions that_fit(EngineOptions options) noexcept {
    if (thread_sanitized && options.instances == 0) options.instances = 64;
    return options;
}

}  // namespace

void WasmEngine::Deleter::operator()(berth_engine* engine) const noexcept { berth_engine_delete(engine); }

WasmEngine::WasmEngine(berth_engine* handle, const EngineOptions& options)
    : handle_(handle), options_(options), key_(native::take_text(berth_engine_configuration_key(handle))) {}

Result<std::shared_ptr<WasmEngine>> WasmEngine::create(const EngineOptions& asked) {
    Watchdog::prepare();
    const auto options = that_fit(asked);
    const auto native_options = to_native(options);
    berth_engine* handle = nullptr;
    BERTH_TRYV(native::check(berth_engine_new(&native_options, &handle)) | note([] { return "setting up the wasm engine"; }));
    return std::shared_ptr<WasmEngine>(new WasmEngine(handle, options));
}

EngineStatus WasmEngine::status() const noexcept {
    berth_engine_status status{};
    berth_engine_status_of(handle_.get(), &status);
    return {.pooling = status.pooling,
            .page_scan = status.page_scan,
            .page_scan_in_kernel = status.page_scan_in_kernel,
            .swap_in_use = status.swap_in_use,
            .signal_stop = status.signal_stop,
            .restore = status.restore,
            .instances = status.instances,
            .stacks = status.stacks};
}

std::string WasmEngine::version() {
    std::size_t length = 0;
    const char* text = berth_engine_version(&length);
    return {text, length};
}

}  // namespace berth
