#include "berth/engine/component.hpp"

#include "berth/async/guest_fiber.hpp"
#include "berth/engine/native_error.hpp"
#include "berth_native/component.h"

namespace berth {

namespace {

static_assert(component_function_count == BERTH_COMPONENT_FUNCTION_COUNT);
static_assert(static_cast<int>(ComponentFunction::request_read) == BERTH_REQUEST_READ && static_cast<int>(ComponentFunction::http_handle) == BERTH_HTTP_HANDLE);
static_assert(static_cast<int>(ComponentFunction::file_preopens) == BERTH_FILE_PREOPENS && static_cast<int>(ComponentFunction::file_close) == BERTH_FILE_CLOSE);
static_assert(static_cast<int>(ComponentFunction::tcp_create) == BERTH_TCP_CREATE && static_cast<int>(ComponentFunction::name_addresses) == BERTH_NAME_ADDRESSES);
static_assert(component_pending == BERTH_PENDING);

berth_text text_of(std::string_view text) noexcept { return {text.data(), text.size()}; }

constexpr berth_component_host native_host{
    .perform = [](void* state, const berth_component_op* op, berth_component_answer* answer) {
        const GuestFiber::Elsewhere on_a_stack_of_the_engine;
        const ComponentOp asked{.function = static_cast<ComponentFunction>(op->function), .object = op->object, .a = op->a, .b = op->b, .c = op->c, .bytes = native::view(op->bytes)};
        ComponentAnswer given;
        const auto next = static_cast<ComponentHost*>(state)->perform(asked, given);
        *answer = {.status = given.status, .x = given.x, .y = given.y, .bytes = text_of(given.bytes)};
        return static_cast<std::uint32_t>(next);
    },
    .wait = [](void* state, std::uint64_t due) { static_cast<ComponentHost*>(state)->wait(due); },
};

}  // namespace

void Component::Deleter::operator()(berth_component* component) const noexcept { berth_component_delete(component); }

Component::Component(std::shared_ptr<WasmEngine> engine, berth_component* handle) : engine_(std::move(engine)), handle_(handle) {
    berth_component_facts_t facts{};
    berth_component_facts(handle, &facts);
    handles_http_ = facts.handles_http;
    runs_command_ = facts.runs_command;
    code_size_ = facts.code_size;
    for (std::size_t i = 0; i < facts.import_count; ++i) {
        berth_text name{};
        berth_component_import(handle, i, &name);
        imports_.emplace_back(native::view(name));
    }
}

Result<std::shared_ptr<Component>> Component::compile(std::shared_ptr<WasmEngine> engine, ByteView bytes) {
    berth_component* handle = nullptr;
    BERTH_TRYV(native::check(berth_component_compile(engine->handle(), bytes.data(), bytes.size(), &handle)));
    return std::shared_ptr<Component>(new Component(std::move(engine), handle));
}

Result<Bytes> Component::serialize() const {
    berth_bytes code{};
    BERTH_TRYV(native::check(berth_component_serialize(handle_.get(), &code)));
    Bytes bytes(code.data, code.data + code.size);
    berth_bytes_delete(code);
    return bytes;
}

Result<std::shared_ptr<Component>> Component::map(std::shared_ptr<WasmEngine> engine, int descriptor) {
    berth_component* handle = nullptr;
    BERTH_TRYV(native::check(berth_component_map(engine->handle(), descriptor, &handle)));
    return std::shared_ptr<Component>(new Component(std::move(engine), handle));
}

namespace {

/// What a call takes over the boundary.
struct NativeCall {
    NativeCall(ComponentHost& host, const ComponentSetup& given, const GuestRequest* request) {
        for (const auto& argument : given.arguments) arguments.push_back(text_of(argument));
        setup = {.host = &native_host,
                 .state = &host,
                 .record = reinterpret_cast<berth_record*>(given.record),
                 .fuel = given.fuel,
                 .memory_limit = given.memory_limit,
                 .table_limit = given.table_limit,
                 .trap_on_limit = given.on_limit == OnLimit::trap,
                 .arguments = arguments.data(),
                 .argument_count = arguments.size()};
        if (request == nullptr) return;
        for (const auto& [name, value] : request->fields) fields.push_back({text_of(name), text_of(value)});
        head = {.method = text_of(request->method),
                .authority = text_of(request->authority),
                .target = text_of(request->target),
                .is_https = request->https,
                .fields = fields.data(),
                .field_count = fields.size()};
    }
    NativeCall(const NativeCall&) = delete;
    NativeCall& operator=(const NativeCall&) = delete;

    void put(ComponentReport& report) {
        report = {};
        report.outcome = static_cast<CallOutcome>(native.outcome);
        report.trap = static_cast<TrapCode>(native.trap);
        report.fuel_used = native.fuel_used;
        report.peak_memory = native.peak_memory;
        if (native.exit_status >= 0) report.exit_status = native.exit_status;
        if (auto error = native::take(native.error)) {
            report.message = error->message();
            if (report.outcome == CallOutcome::not_started) report.error = error->code();
        }
    }

    std::vector<berth_text> arguments;
    std::vector<berth_http_field> fields;
    berth_component_setup setup{};
    berth_http_request head{};
    berth_component_report native{};
};

}  // namespace

void Component::call(const ComponentSetup& setup, const GuestRequest* request, ComponentReport& report) const {
    NativeCall call(setup.host, setup, request);
    berth_component_call(handle_.get(), &call.setup, request != nullptr ? &call.head : nullptr, &call.native);
    call.put(report);
}

void ComponentInstance::Deleter::operator()(berth_component_instance* instance) const noexcept { berth_component_instance_delete(instance); }

void ComponentInstance::call(const ComponentSetup& setup, const GuestRequest& request, ComponentReport& report) {
    NativeCall call(relay_, setup, &request);
    relay_.host = &setup.host;
    auto* instance = handle_.release();
    berth_component_call_kept(component_->handle_.get(), &call.setup, &call.head, &instance, &call.native);
    handle_.reset(instance);
    relay_.host = nullptr;
    call.put(report);
}

}  // namespace berth
