#include "berth/engine/component.hpp"

#include "berth/engine/native_error.hpp"
#include "berth_native/component.h"

namespace berth {

namespace {

static_assert(static_cast<int>(ComponentNeed::datagram) == BERTH_NEED_DATAGRAM);

ComponentHost& host_of(void* state) noexcept { return *static_cast<ComponentHost*>(state); }
berth_text text_of(std::string_view text) noexcept { return {text.data(), text.size()}; }

constexpr berth_component_host native_host{
    .enter = [](void* state, std::uint32_t need, berth_text function, berth_text scope) {
        return static_cast<std::uint32_t>(host_of(state).enter(static_cast<ComponentNeed>(need), native::view(function), native::view(scope)));
    },
    .wall_clock = [](void* state) { return host_of(state).wall_clock(); },
    .monotonic_clock = [](void* state) { return host_of(state).monotonic_clock(); },
    .random = [](void* state, std::uint8_t* out, std::size_t size) { host_of(state).random({out, size}); },
    .read = [](void* state, std::uint8_t* out, std::size_t size) { return host_of(state).read({out, size}); },
    .write = [](void* state, std::uint32_t stream, const std::uint8_t* bytes, std::size_t size) {
        return static_cast<std::uint32_t>(host_of(state).write(stream == 2, {bytes, size}));
    },
    .wait = [](void* state, std::uint64_t nanoseconds) { host_of(state).wait(std::chrono::nanoseconds(nanoseconds)); },
};

GuestResponse take(berth_http_response* native) {
    GuestResponse response;
    response.status = berth_http_response_status(native);
    for (std::size_t i = 0; i < berth_http_response_field_count(native); ++i) {
        const auto field = berth_http_response_field(native, i);
        response.fields.emplace_back(native::view(field.name), native::view(field.value));
    }
    response.body = native::view(berth_http_response_body(native));
    berth_http_response_delete(native);
    return response;
}

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

void Component::call(const ComponentSetup& setup, const GuestRequest* request, ComponentReport& report) const {
    std::vector<berth_text> arguments;
    for (const auto& argument : setup.arguments) arguments.push_back(text_of(argument));
    std::vector<berth_http_field> variables;
    for (const std::string_view variable : setup.environment) {
        const auto equals = variable.find('=');
        if (equals != std::string_view::npos) variables.push_back({text_of(variable.substr(0, equals)), text_of(variable.substr(equals + 1))});
    }
    const berth_component_setup native_setup{.host = &native_host,
                                             .state = &setup.host,
                                             .record = reinterpret_cast<berth_record*>(setup.record),
                                             .fuel = setup.fuel,
                                             .memory_limit = setup.memory_limit,
                                             .table_limit = setup.table_limit,
                                             .output_limit = setup.output_limit,
                                             .trap_on_limit = setup.on_limit == OnLimit::trap,
                                             .arguments = arguments.data(),
                                             .argument_count = arguments.size(),
                                             .variables = variables.data(),
                                             .variable_count = variables.size()};
    berth_component_report native{};
    if (request != nullptr) {
        std::vector<berth_http_field> fields;
        for (const auto& [name, value] : request->fields) fields.push_back({text_of(name), text_of(value)});
        const berth_http_request native_request{.method = text_of(request->method),
                                                .authority = text_of(request->authority),
                                                .target = text_of(request->target),
                                                .is_https = request->https,
                                                .fields = fields.data(),
                                                .field_count = fields.size(),
                                                .body = text_of(request->body)};
        berth_component_call(handle_.get(), &native_setup, &native_request, &native);
    } else {
        berth_component_call(handle_.get(), &native_setup, nullptr, &native);
    }
    report = {};
    report.outcome = static_cast<CallOutcome>(native.outcome);
    report.trap = static_cast<TrapCode>(native.trap);
    report.fuel_used = native.fuel_used;
    report.peak_memory = native.peak_memory;
    report.output_too_large = native.output_too_large;
    if (native.exit_status >= 0) report.exit_status = native.exit_status;
    if (auto error = native::take(native.error)) {
        report.message = error->message();
        if (report.outcome == CallOutcome::not_started) report.error = error->code();
    }
    if (native.response != nullptr) report.response = take(native.response);
}

}  // namespace berth
