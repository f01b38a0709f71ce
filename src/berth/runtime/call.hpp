#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "berth/async/cancel.hpp"
#include "berth/async/payload_memory.hpp"
#include "berth/async/task.hpp"
#include "berth/base/bytes.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/limits.hpp"
#include "berth/runtime/call_queue.hpp"

namespace berth {

struct CallMode;
class CallObserver;
class DenialListener;
struct Function;
class HandlerBody;
class InputStream;
class OutputStream;
class RunningCall;
class WasmInstance;

/// Bytes with a media type. JSON text is carried as it came, never re-encoded.
struct Payload {
    std::string bytes;
    std::string media_type;  // empty when unknown
    std::shared_ptr<PayloadBuffer> large = {};  // instead of `bytes`, where it counts in the memory of payloads or lies in a file; with copies of the call

    std::string_view text() const noexcept { return large ? large->text() : std::string_view(bytes); }
    bool empty() const noexcept { return text().empty(); }
};

/// Streams that a command works on directly, instead of Call::input and Outcome::output; they outlive the call.
struct CallStreams {
    InputStream& input;
    OutputStream& output;
    OutputStream& error;
};

/// The HTTP request that a call is, for guests that take one; its body is the call's input.
struct CallRequest {
    std::string method;
    std::string authority;
    std::string target;  // path and query, as sent
    bool https = false;
    std::vector<std::pair<std::string, std::string>> fields;  // names in lower case; none that belong to one connection
};

/// What caused a call.
enum class Trigger : std::uint8_t { cli, http, route, nested, embedder };

/// Who calls, as a verified credential says.
struct AuthSubject {
    std::string id;
    std::string email;      // may be empty
    bool verified = false;
    std::string role;       // empty: unknown
    std::string metadata;   // JSON object; empty: none
};

/// Asked when a call's turn has come, before it starts.
class CallStart {
public:
    virtual ~CallStart() = default;
    /// An error keeps the call from starting and is its outcome.
    /// `durable`: see Call::durable.
    virtual Task<Result<void>> starting(std::string id, bool durable) = 0;
};

/// One invocation of a function, as it enters the runtime. Moved along, since it carries its place among the running ones.
struct Call {
    std::string id;                    // UUIDv7, lower case
    std::string request_id;            // what the caller sent, or the id
    WallTime received{};               // when the runtime got it; the epoch: not yet
    std::string function;
    std::string entry;                 // export to call; empty for the function's own
    Payload input;
    std::vector<std::string> arguments;  // of a command; empty otherwise
    Trigger trigger = Trigger::embedder;
    std::optional<SteadyTime> deadline;  // the caller's; the function's own limit holds as well
    CancelToken cancel;
    std::shared_ptr<const AuthSubject> auth;  // null: anonymous; shared with what the call makes
    std::string trace_parent;          // W3C trace context of the caller, checked; empty: none
    std::string trace_state;           // its state; empty: none
    std::string baggage;               // what goes along with all that it causes; empty: nothing
    std::string parent_span;           // id of the caller's span, where the runtime makes spans: trace_parent then names the call's own
    std::uint8_t depth = 0;            // nested calls above this one
    Limits tighten;                    // bounds of this call alone
    std::shared_ptr<const CallRequest> request;  // null: the call is no request; owners: the call and its copies
    HandlerBody* body = nullptr;       // of a request and its answer in parts; null: both whole, in the input and the outcome; outlives the call
    const CallStreams* streams = nullptr;  // null: input and output are payloads
    const CallMode* mode = nullptr;    // null: on the machine as it is, not recorded; outlives the call
    WasmInstance* instance = nullptr;  // entered instead of a fresh one; outlives the call
    DenialListener* denials = nullptr; // told of denied calls of a wasm guest instead of the engine's listener; outlives the call
    CallStart* start = nullptr;        // null: nobody is asked; outlives the call
    bool receipt = false;              // Outcome::receipt is wanted
    bool durable = false;              // its journal outlives the host, and the next one takes it up; settled by the runtime for calls with `start`
    bool takes_large = false;          // the output may be Payload::large
    CallObserver* operations = nullptr;  // told of its operations, where the runtime makes spans; outlives the call
    RunningCall* running = nullptr;    // its entry among the running ones, given by the runtime; outlives its run in the engine
    const Function* admitted = nullptr;  // the version found for it, given by the runtime; null before that. Outlives the steps of the call
    CallSlot slot;                     // given by the runtime; held until nothing of the call is left
};

}  // namespace berth
