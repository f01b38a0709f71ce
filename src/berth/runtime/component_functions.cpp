#include "berth/runtime/component_functions.hpp"

#include <array>

#include "berth/runtime/component_gate.hpp"

namespace berth {
namespace {

using namespace component_bodies;
using Gate = ComponentGate;
using Op = ComponentOp;
using Answer = ComponentAnswer;

constexpr std::int32_t some = 0;
constexpr std::int32_t at_end = 1;
constexpr std::int32_t failed = 2;

std::int64_t wall_of(WallTime time) noexcept { return std::max<std::int64_t>(0, time.time_since_epoch().count()); }
std::uint64_t steady_of(SteadyTime time) noexcept { return static_cast<std::uint64_t>(std::chrono::nanoseconds(time.time_since_epoch()).count()); }

std::int32_t wall_now(Gate& gate, const Op&, Answer& answer) {
    answer.x = static_cast<std::uint64_t>(wall_of(gate.clock().read_wall()));
    return 0;
}
std::int32_t monotonic_now(Gate& gate, const Op&, Answer& answer) {
    answer.x = steady_of(gate.clock().read_steady());
    return 0;
}
std::int32_t resolution(Gate&, const Op&, Answer& answer) {
    answer.x = 1;
    return 0;
}
std::int32_t subscribe(Gate& gate, const Op& op, Answer& answer) {
    const auto now = steady_of(gate.clock().steady());
    constexpr auto most = static_cast<std::uint64_t>(INT64_MAX);
    answer.x = std::min(op.a == 0 ? op.b : now + std::min(op.b, most - now), most);
    return 0;
}
std::int32_t due(Gate& gate, const Op& op, Answer&) { return steady_of(gate.clock().steady()) >= op.a ? 0 : component_pending; }

std::int32_t random(Gate& gate, const Op& op, Answer& answer) {
    auto& bytes = gate.scratch();
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(op.a, 1 << 20)));
    gate.random().fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    answer.bytes = bytes;
    return 0;
}

std::int32_t environment(Gate& gate, const Op&, Answer& answer) {
    PackedText packed(gate.scratch());
    for (const std::string_view variable : gate.variables()) {
        const auto equals = variable.find('=');
        if (equals == std::string_view::npos) continue;
        packed.text(variable.substr(0, equals));
        packed.text(variable.substr(equals + 1));
        gate.used(Capability::env_read, variable.substr(0, equals));
    }
    answer.bytes = gate.scratch();
    return 0;
}

std::int32_t stdin_read(Gate& gate, const Op& op, Answer& answer) {
    auto& bytes = gate.scratch();
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(op.a, 1 << 20)));
    while (true) {
        const auto count = gate.input().read({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
        if (count == InputStream::interrupted && !gate.stopped()) continue;
        if (count == InputStream::interrupted) return gate.stop();
        if (count < 0) return failed;
        answer.bytes = std::string_view(bytes).substr(0, static_cast<std::size_t>(count));
        return count == 0 ? at_end : some;
    }
}

template <bool ToError>
std::int32_t write(Gate& gate, const Op& op, Answer&) {
    switch ((ToError ? gate.error() : gate.output()).write(as_bytes(op.bytes))) {
        case OutputStream::Written::all: return 0;
        case OutputStream::Written::failed: return failed;
        default: return gate.end(over_limit(Limit::output, gate.limits()[Limit::output]));
    }
}

HandlerBody::Fields fields_of(std::string_view packed) {
    HandlerBody::Fields fields;
    JournalGet in(as_bytes(packed));
    while (!in.at_end()) {
        std::string_view name;
        std::string_view value;
        if (!in.text(name) || !in.text(value)) break;
        fields.emplace_back(name, value);
    }
    return fields;
}

std::int32_t request_read(Gate& gate, const Op& op, Answer& answer) { return gate.read_request(static_cast<std::size_t>(std::min<std::uint64_t>(op.a, 1 << 20)), answer); }
std::int32_t response_head(Gate& gate, const Op& op, Answer&) { return gate.begin_response({.status = static_cast<std::uint16_t>(op.a), .fields = fields_of(op.bytes)}); }
std::int32_t response_room(Gate& gate, const Op&, Answer&) { return gate.response_room(); }
std::int32_t response_write(Gate& gate, const Op& op, Answer&) { return gate.write_response(op.bytes); }
std::int32_t response_end(Gate& gate, const Op& op, Answer&) { return gate.end_response(fields_of(op.bytes)); }

constexpr auto on_file = Needs::by_descriptor(Capability::fs_read, Capability::fs_write, Capability::fs_delete);
constexpr auto by_method = Needs::by_arguments(Capability::net_fetch, Capability::net_send);

struct Function {
    std::string_view name;
    HostFunctionRow row;
    ComponentBody body;
};

// In the order of ComponentFunction; interfaces in one piece each.
constexpr std::array wall_clock{
    Function{"now", {.doc = "The time of day.", .needs = Capability::time_now, .effect = Effect::reads}, wall_now},
    Function{"resolution", {.doc = "How fine it is.", .needs = Capability::time_now, .effect = Effect::reads}, resolution},
};
constexpr std::array monotonic_clock{
    Function{"now", {.doc = "A clock that only goes forward.", .needs = Capability::time_now, .effect = Effect::reads}, monotonic_now},
    Function{"resolution", {.doc = "How fine it is.", .needs = Capability::time_now, .effect = Effect::reads}, resolution},
    Function{"subscribe", {.doc = "A time to wait for.", .needs = Capability::time_sleep, .effect = Effect::reads}, subscribe},
    Function{"due", {.doc = "Whether a time has come.", .needs = Needs::nothing(), .effect = Effect::reads}, due},
};
constexpr std::array random_functions{
    Function{"get-random-bytes", {.doc = "Secure random bytes.", .needs = Capability::random_secure, .effect = Effect::reads}, random},
};
constexpr std::array insecure_functions{
    Function{"get-insecure-random-bytes", {.doc = "Random bytes.", .needs = Capability::random_number, .effect = Effect::reads}, random},
};
constexpr std::array cli_functions{
    Function{"get-environment", {.doc = "The granted variables.", .needs = Needs::by_descriptor(Capability::env_read), .effect = Effect::reads}, environment},
    Function{"stdin.read", {.doc = "Standard input.", .needs = Needs::nothing(), .effect = Effect::reads}, stdin_read},
    Function{"stdout.write", {.doc = "Standard output.", .needs = Needs::nothing(), .effect = Effect::writes}, write<false>},
    Function{"stderr.write", {.doc = "Standard error.", .needs = Needs::nothing(), .effect = Effect::writes}, write<true>},
};
// The answer itself is the call's outcome, which the end of a journal has; only its pace is read from outside.
constexpr std::array incoming_functions{
    Function{"request.read", {.doc = "The body of the request.", .needs = Needs::nothing(), .effect = Effect::reads}, request_read},
    Function{"response.head", {.doc = "Status and fields of the answer.", .needs = Needs::nothing(), .pure = true}, response_head},
    Function{"response.room", {.doc = "Whether more of the answer can be written.", .needs = Needs::nothing(), .effect = Effect::reads}, response_room},
    Function{"response.write", {.doc = "The body of the answer.", .needs = Needs::nothing(), .pure = true}, response_write},
    Function{"response.end", {.doc = "The answer is whole.", .needs = Needs::nothing(), .pure = true}, response_end},
};
constexpr std::array outgoing_functions{
    Function{"handle", {.doc = "Begins a request: net.fetch for GET and HEAD, net.send for others.", .needs = by_method, .effect = Effect::writes}, http_handle},
    Function{"head", {.doc = "Status and fields of its answer.", .needs = by_method, .effect = Effect::reads}, http_head},
    Function{"read", {.doc = "The body of its answer.", .needs = by_method, .effect = Effect::reads}, http_read},
    Function{"room", {.doc = "Whether more of its body can be written.", .needs = by_method, .effect = Effect::reads}, http_room},
    Function{"write", {.doc = "Its body.", .needs = by_method, .effect = Effect::writes}, http_write},
    Function{"finish", {.doc = "Its body is whole.", .needs = by_method, .effect = Effect::writes}, http_finish},
    Function{"close", {.doc = "Nobody wants it any more.", .needs = Needs::nothing(), .pure = true}, http_close},
};

constexpr Function file_row(std::string_view name, std::string_view doc, Effect effect) { return {name, {.doc = doc, .needs = on_file, .effect = effect}, file}; }
constexpr std::array file_functions{
    Function{"get-directories", {.doc = "The mounted directories.", .needs = Needs::nothing(), .effect = Effect::reads}, file},
    file_row("open-at", "Opens a file or directory.", Effect::writes),
    file_row("read", "Reads from a place in a file.", Effect::reads),
    file_row("write", "Writes to a place in a file.", Effect::writes),
    file_row("stat", "Size, kind and times of something open.", Effect::reads),
    file_row("stat-at", "The same by its path.", Effect::reads),
    file_row("set-size", "Cuts or extends a file.", Effect::writes),
    file_row("set-times", "Sets the times of something open.", Effect::writes),
    file_row("set-times-at", "The same by its path.", Effect::writes),
    file_row("sync", "Makes a file durable.", Effect::writes),
    file_row("read-directory", "Lists a directory.", Effect::reads),
    file_row("create-directory-at", "Makes a directory.", Effect::writes),
    file_row("remove-directory-at", "Removes an empty directory.", Effect::writes),
    file_row("unlink-file-at", "Removes a file.", Effect::writes),
    file_row("rename-at", "Renames.", Effect::writes),
    file_row("link-at", "Makes a hard link.", Effect::writes),
    file_row("symlink-at", "Makes a symbolic link.", Effect::writes),
    file_row("readlink-at", "Where a symbolic link leads.", Effect::reads),
    Function{"close", {.doc = "Closes a descriptor.", .needs = Needs::nothing(), .effect = Effect::reads}, file},
};

constexpr auto to_connect = Needs::by_arguments(Capability::net_connect);
constexpr auto to_listen = Needs::by_arguments(Capability::net_listen);
constexpr auto on_socket = Needs::by_arguments(Capability::net_connect, Capability::net_listen);
constexpr auto by_datagram = Needs::by_arguments(Capability::net_datagram);
constexpr auto of_socket = Needs::by_descriptor(Capability::net_connect, Capability::net_listen, Capability::net_datagram);
constexpr std::array socket_functions{
    Function{"create-tcp-socket", {.doc = "A TCP socket.", .needs = on_socket, .effect = Effect::writes}, socket},
    Function{"tcp-socket.bind", {.doc = "Gives it an address of this host.", .needs = to_listen, .effect = Effect::writes}, socket},
    Function{"tcp-socket.start-connect", {.doc = "Begins a connection.", .needs = to_connect, .effect = Effect::writes}, socket},
    Function{"tcp-socket.finish-connect", {.doc = "How that ended.", .needs = on_socket, .effect = Effect::reads}, socket},
    Function{"tcp-socket.listen", {.doc = "Takes connections from now on.", .needs = to_listen, .effect = Effect::writes}, socket},
    Function{"tcp-socket.accept", {.doc = "The next connection that came.", .needs = on_socket, .effect = Effect::reads}, socket},
    Function{"tcp-socket.ready", {.doc = "Whether it can be read, written or accepted on.", .needs = on_socket, .effect = Effect::reads}, socket},
    Function{"tcp-socket.read", {.doc = "What the other end sent.", .needs = on_socket, .effect = Effect::reads}, socket},
    Function{"tcp-socket.write", {.doc = "For the other end.", .needs = on_socket, .effect = Effect::writes}, socket},
    Function{"tcp-socket.shutdown", {.doc = "Ends one direction or both.", .needs = on_socket, .effect = Effect::writes}, socket},
    Function{"tcp-socket.address", {.doc = "Of this end or the other.", .needs = on_socket, .effect = Effect::reads}, socket},
    Function{"tcp-socket.close", {.doc = "Closes a socket, or gives a look-up up.", .needs = Needs::nothing(), .pure = true}, socket},
    Function{"create-udp-socket", {.doc = "A UDP socket.", .needs = by_datagram, .effect = Effect::writes}, datagram},
    Function{"udp-socket.bind", {.doc = "Gives it an address of this host.", .needs = by_datagram, .effect = Effect::writes}, datagram},
    Function{"udp-socket.stream", {.doc = "Settles its only other end, or that there may be many.", .needs = by_datagram, .effect = Effect::writes}, datagram},
    Function{"udp-socket.ready", {.doc = "Whether something can be received or sent.", .needs = by_datagram, .effect = Effect::reads}, datagram},
    Function{"udp-socket.receive", {.doc = "A datagram from an address that is granted; others are dropped.", .needs = by_datagram, .effect = Effect::reads}, datagram},
    Function{"udp-socket.send", {.doc = "Sends a datagram.", .needs = by_datagram, .effect = Effect::writes}, datagram},
    Function{"udp-socket.address", {.doc = "Of this end or the only other one.", .needs = by_datagram, .effect = Effect::reads}, datagram},
    Function{"socket.option", {.doc = "An option of a socket.", .needs = of_socket, .effect = Effect::reads}, socket_option},
    Function{"socket.set-option", {.doc = "Sets it.", .needs = of_socket, .effect = Effect::writes}, socket_option},
    Function{"resolve-addresses", {.doc = "Begins to look a name up.", .needs = to_connect, .effect = Effect::reads}, socket},
    Function{"resolve-next-address", {.doc = "Its addresses.", .needs = on_socket, .effect = Effect::reads}, socket},
};

constexpr std::size_t count = wall_clock.size() + monotonic_clock.size() + random_functions.size() + insecure_functions.size() + cli_functions.size() + incoming_functions.size() +
                              outgoing_functions.size() + file_functions.size() + socket_functions.size();
static_assert(count == component_function_count);

template <std::size_t N>
constexpr std::array<HostFunction, N> functions_of(const std::array<Function, N>& rows) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) { return std::array<HostFunction, N>{HostFunction{rows[I].name, rows[I].row, {}, {}, nullptr}...}; }(std::make_index_sequence<N>());
}
}  // namespace

const HostTable& component_table() {
    static const auto wall = functions_of(wall_clock);
    static const auto monotonic = functions_of(monotonic_clock);
    static const auto secure = functions_of(random_functions);
    static const auto insecure = functions_of(insecure_functions);
    static const auto cli = functions_of(cli_functions);
    static const auto incoming = functions_of(incoming_functions);
    static const auto outgoing = functions_of(outgoing_functions);
    static const auto files = functions_of(file_functions);
    static const auto sockets = functions_of(socket_functions);
    static const std::array groups{
        HostGroup{"wasi:clocks/wall-clock", wall},       HostGroup{"wasi:clocks/monotonic-clock", monotonic}, HostGroup{"wasi:random/random", secure},
        HostGroup{"wasi:random/insecure", insecure},     HostGroup{"wasi:cli", cli},                          HostGroup{"wasi:http/incoming-handler", incoming},
        HostGroup{"wasi:http/outgoing-handler", outgoing}, HostGroup{"wasi:filesystem/types", files},
        HostGroup{"wasi:sockets", sockets},
    };
    static const HostWorld world{.name = "component",
                                 .groups = groups,
                                 .missing = Missing::deny_at_call,
                                 .status_of = [](const Error&) noexcept { return std::int32_t{0}; },
                                 .status_of_fault = [](ArgumentFault) noexcept { return std::int32_t{0}; }};
    static const HostTable table(world);
    return table;
}

ComponentBody component_body(ComponentFunction function) noexcept {
    static const auto bodies = [] {
        std::array<ComponentBody, component_function_count> all{};
        std::size_t at = 0;
        const auto add = [&](const auto& rows) {
            for (const auto& row : rows) all[at++] = row.body;
        };
        add(wall_clock);
        add(monotonic_clock);
        add(random_functions);
        add(insecure_functions);
        add(cli_functions);
        add(incoming_functions);
        add(outgoing_functions);
        add(file_functions);
        add(socket_functions);
        return all;
    }();
    return bodies[static_cast<std::size_t>(function)];
}

}  // namespace berth
