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

namespace berth {

/// What a host function of a component needs a grant for.
enum class ComponentNeed : std::uint32_t { nothing, clock, sleep, secure_random, random, fetch, send, connect, datagram };

/// What a component's host functions come down to. On the thread of the call; none may enter the guest.
class ComponentHost {
public:
    virtual ~ComponentHost() = default;

    enum class Entry : std::uint32_t { granted, denied, ends };
    /// Before a host function has an effect. `scope` is what it is about: the address of a request; empty otherwise.
    virtual Entry enter(ComponentNeed need, std::string_view function, std::string_view scope) = 0;

    virtual std::int64_t wall_clock() = 0;        // nanoseconds since 1970
    virtual std::uint64_t monotonic_clock() = 0;  // nanoseconds
    virtual void random(MutableBytes out) = 0;
    /// Standard input: bytes read, 0 at the end, -1 failed, -2 interrupted. May block.
    virtual std::int64_t read(MutableBytes out) = 0;
    enum class Written : std::uint32_t { all, over_limit, failed };
    virtual Written write(bool to_error, ByteView bytes) = 0;
    /// Sleeps, and returns early when the call must end.
    virtual void wait(std::chrono::nanoseconds duration) = 0;
};

/// A request for wasi:http/incoming-handler, whole.
struct GuestRequest {
    std::string_view method;
    std::string_view authority;
    std::string_view target;  // path and query
    bool https = false;
    std::span<const std::pair<std::string, std::string>> fields;
    std::string_view body;
};

struct GuestResponse {
    std::uint16_t status = 200;
    std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
    std::string body;
};

struct ComponentSetup {
    ComponentHost& host;
    CallRecord* record = nullptr;  // null: the call cannot be stopped
    std::int64_t fuel = unlimited_fuel;
    OnLimit on_limit = OnLimit::fail;
    std::uint64_t memory_limit = std::numeric_limits<std::uint64_t>::max();  // bytes, all memories together
    std::uint64_t table_limit = std::numeric_limits<std::uint64_t>::max();   // elements of each table
    std::uint64_t output_limit = std::numeric_limits<std::uint64_t>::max();  // bytes of the body of a response
    std::span<const std::string> arguments;                                  // of a command, its name first
    std::span<const std::string> environment;                                // `NAME=VALUE`
};

struct ComponentReport {
    CallOutcome outcome = CallOutcome::not_started;
    TrapCode trap = TrapCode::none;
    std::uint64_t fuel_used = 0;
    std::uint64_t peak_memory = 0;
    std::optional<int> exit_status;  // with which the guest ended itself
    bool output_too_large = false;   // the body of the response passed its limit
    Code error = Code::ok;           // why it has not started
    std::string message;             // more about the outcome, or why a handler gave no response
    std::optional<GuestResponse> response;
};

/// A compiled component with its imports resolved. Immutable, any thread. Its engine has `components` on.
///
/// A call gets a fresh instance on the calling thread. Guest code is not interrupted where it stands: it comes back after
/// every 200,000 units of fuel and in every host function, and ends there when its record says so.
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
    struct Deleter { void operator()(berth_component* component) const noexcept; };
    Component(std::shared_ptr<WasmEngine> engine, berth_component* handle);

    std::shared_ptr<WasmEngine> engine_;  // owners: this, and whoever created the engine
    std::unique_ptr<berth_component, Deleter> handle_;
    std::vector<std::string> imports_;
    std::size_t code_size_ = 0;
    bool handles_http_ = false;
    bool runs_command_ = false;
};

}  // namespace berth
