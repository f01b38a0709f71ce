#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/engine/invocation.hpp"
#include "berth/engine/wasm_engine.hpp"

struct berth_component;
struct berth_component_instance;

namespace berth {

/// What a component asks its host for; berth_native/component.h says what each takes and answers.
enum class ComponentFunction : std::uint32_t {
    wall_now, wall_resolution, monotonic_now, monotonic_resolution, subscribe, due, secure_random, insecure_random, environment, stdin_read,
    stdout_write, stderr_write, request_read, response_head, response_room, response_write, response_end, http_handle, http_head, http_read,
    http_room, http_write, http_finish, http_close, file_preopens, file_open, file_read, file_write, file_stat, file_stat_at, file_set_size,
    file_set_times, file_set_times_at, file_sync, file_list, file_make_directory, file_remove_directory, file_remove, file_rename, file_link,
    file_symlink, file_read_link, file_close, tcp_create, tcp_bind, tcp_connect, tcp_connected, tcp_listen, tcp_accept, tcp_ready, tcp_read, tcp_write,
    tcp_shutdown, tcp_address, tcp_close, udp_create, udp_bind, udp_stream, udp_ready, udp_receive, udp_send, udp_address, socket_option, set_socket_option,
    name_lookup, name_addresses,
};
inline constexpr std::size_t component_function_count = static_cast<std::size_t>(ComponentFunction::name_addresses) + 1;
/// The status of an answer that is not there yet.
inline constexpr std::int32_t component_pending = 1'000'000;

struct ComponentOp {
    ComponentFunction function{};
    std::uint64_t object = 0;
    std::uint64_t a = 0, b = 0, c = 0;
    std::string_view bytes;
};

struct ComponentAnswer {
    std::int32_t status = 0;
    std::uint64_t x = 0, y = 0;
    std::string_view bytes;  // until the host is asked again
};

/// What a component's host functions come down to. On the thread of the call, and `perform` on a stack of the engine's; none may
/// enter the guest.
class ComponentHost {
public:
    virtual ~ComponentHost() = default;

    enum class Next : std::uint32_t { proceed, denied, ends };
    virtual Next perform(const ComponentOp& op, ComponentAnswer& answer) = 0;
    /// Sleeps until this time of the monotonic clock in nanoseconds (all ones: no time), on the stack that the call was made on.
    /// Returns early when something that was pending may be there, or the call must end; on a GuestFiber perhaps on another
    /// thread.
    virtual void wait(std::uint64_t due) = 0;
};

/// A request for wasi:http/incoming-handler; its body is read with ComponentFunction::request_read.
struct GuestRequest {
    std::string_view method;
    std::string_view authority;
    std::string_view target;  // path and query
    bool https = false;
    std::span<const std::pair<std::string, std::string>> fields;
};

struct ComponentSetup {
    ComponentHost& host;
    CallRecord* record = nullptr;  // null: the call cannot be stopped
    std::int64_t fuel = unlimited_fuel;
    OnLimit on_limit = OnLimit::fail;
    std::uint64_t memory_limit = std::numeric_limits<std::uint64_t>::max();  // bytes, all memories together
    std::uint64_t table_limit = std::numeric_limits<std::uint64_t>::max();   // elements of each table
    std::span<const std::string> arguments;                                  // of a command, its name first
};

struct ComponentReport {
    CallOutcome outcome = CallOutcome::not_started;
    TrapCode trap = TrapCode::none;
    std::uint64_t fuel_used = 0;
    std::uint64_t peak_memory = 0;
    std::optional<int> exit_status;  // with which the guest ended itself
    Code error = Code::ok;           // why it has not started
    std::string message;             // more about the outcome, or why a handler gave no response
};

/// A compiled component with its imports resolved. Immutable, any thread. Its engine has `components` on.
///
/// A call gets a fresh instance, or the ComponentInstance that it is made in, and blocks its caller. Guest code is not interrupted
/// where it stands: it comes back after every 200,000 units of fuel and in every host function, and ends there when its record says so.
class Component {
public:
    /// Fails with invalid_module, or with import_unresolved naming an import that WASI 0.2 does not have.
    static Result<std::shared_ptr<Component>> compile(std::shared_ptr<WasmEngine> engine, ByteView bytes);
    Result<Bytes> serialize() const;
    /// As Module::map.
    static Result<std::shared_ptr<Component>> map(std::shared_ptr<WasmEngine> engine, int descriptor);

    Component(const Component&) = delete;
    Component& operator=(const Component&) = delete;

    bool handles_http() const noexcept { return handles_http_; }  // wasi:http/incoming-handler
    bool runs_command() const noexcept { return runs_command_; }  // wasi:cli/run
    const std::vector<std::string>& imports() const noexcept { return imports_; }  // interfaces
    std::size_t code_size() const noexcept { return code_size_; }
    const std::shared_ptr<WasmEngine>& engine() const noexcept { return engine_; }

    /// Runs it as a command, or as the handler of `request` when there is one.
    void call(const ComponentSetup& setup, const GuestRequest* request, ComponentReport& report) const;

private:
    friend class ComponentInstance;
    struct Deleter { void operator()(berth_component* component) const noexcept; };
    Component(std::shared_ptr<WasmEngine> engine, berth_component* handle);

    std::shared_ptr<WasmEngine> engine_;  // owners: this, and whoever created the engine
    std::unique_ptr<berth_component, Deleter> handle_;
    std::vector<std::string> imports_;
    std::size_t code_size_ = 0;
    bool handles_http_ = false;
    bool runs_command_ = false;
};

/// An instance that handles one request behind the other: its memory, globals and open resources stay. Each call has its own
/// host, record, fuel and limits. One thread at a time, any of them.
class ComponentInstance {
public:
    /// Nothing runs yet: the first call makes the instance.
    explicit ComponentInstance(std::shared_ptr<const Component> component) : component_(std::move(component)) {}
    ComponentInstance(const ComponentInstance&) = delete;
    ComponentInstance& operator=(const ComponentInstance&) = delete;

    void call(const ComponentSetup& setup, const GuestRequest& request, ComponentReport& report);
    /// False after a call that was the last one: it did not return, left its answer open, or left too much behind; a later one
    /// would have a new instance.
    bool is_kept() const noexcept { return handle_ != nullptr; }

private:
    /// What the guest keeps asks the host of the call in progress; without one there is none.
    class Relay final : public ComponentHost {
    public:
        Next perform(const ComponentOp& op, ComponentAnswer& answer) override { return host != nullptr ? host->perform(op, answer) : Next::ends; }
        void wait(std::uint64_t due) override {
            if (host != nullptr) host->wait(due);
        }
        ComponentHost* host = nullptr;
    };
    struct Deleter { void operator()(berth_component_instance* instance) const noexcept; };

    std::shared_ptr<const Component> component_;  // owners: this, and the program
    Relay relay_;
    std::unique_ptr<berth_component_instance, Deleter> handle_;  // ends before the relay, which it asks
};

}  // namespace berth
