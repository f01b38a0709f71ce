#include <algorithm>

#include "berth/engine/instrument.hpp"
#include "berth/engine/wasm_operator.hpp"

namespace berth::wasm {
namespace {

/// What an operator without own rules adds to the operand stack.
int simd_effect(std::uint32_t number) noexcept {
    const auto in = [number](std::uint32_t first, std::uint32_t last) { return number >= first && number <= last; };
    if (number <= 10 || in(15, 22)) return 0;  // loads, splats, first lanes
    if (number == 12) return 1;
    if (number == 11 || number == 82 || in(88, 91)) return -2;  // store, bitselect, lane stores
    if (in(23, 34)) return number == 23 || number == 26 || number == 28 || number == 30 || number == 32 || number == 34 ? -1 : 0;
    if (number >= 0x100) {
        if (in(0x101, 0x104)) return 0;
        return in(0x105, 0x10c) || number == 0x113 ? -2 : -1;
    }
    switch (number) {
        case 77: case 83: case 92: case 93: case 94: case 95: case 96: case 97: case 98: case 99: case 100: case 103: case 104: case 105: case 106:
        case 116: case 117: case 0x7a: case 0x7c: case 0x7d: case 0x7e: case 0x7f: case 0x80: case 0x81: case 0x83: case 0x84: case 0x87:
        case 0x88: case 0x89: case 0x8a: case 0x94: case 0xa0: case 0xa1: case 0xa3: case 0xa4: case 0xa7: case 0xa8: case 0xa9: case 0xaa:
        case 0xc0: case 0xc1: case 0xc3: case 0xc4: case 0xc7: case 0xc8: case 0xc9: case 0xca: case 0xe0: case 0xe1: case 0xe3: case 0xec:
        case 0xed: case 0xef: return 0;
        default: return number >= 0xf8 ? 0 : -1;
    }
}

int plain_effect(std::uint32_t code) noexcept {
    if (code >> 16 == 0xfd) return simd_effect(code & 0xffff);
    const auto in = [code](std::uint32_t first, std::uint32_t last) { return code >= first && code <= last; };
    if (in(0x28, 0x35) || in(0x67, 0x69) || in(0x79, 0x7b) || in(0x8b, 0x91) || in(0x99, 0x9f) || in(0xa7, 0xc4)) return 0;
    if (in(0x36, 0x3e)) return -2;
    if (in(0x41, 0x44)) return 1;
    if (code == 0x45 || code == 0x50) return 0;
    if (in(0x46, 0xa6)) return -1;
    switch (code) {
        case op::drop: case op::local_set: case op::global_set: case op::table_grow: return -1;
        case op::select: case op::typed_select: case op::table_set: return -2;
        case op::local_get: case op::global_get: case op::memory_size: case op::table_size: case op::ref_null: case op::ref_func: return 1;
        case op::memory_init: case op::memory_copy: case op::memory_fill: case op::table_init: case op::table_copy: case op::table_fill: return -3;
        default: return 0;
    }
}

/// The largest number of operands that are on the stack of a body at once. Code that cannot be reached has none.
class OperandHeight {
public:
    OperandHeight(ByteView wasm, const ModuleInfo& info) : wasm_(wasm), info_(info) {}

    std::uint64_t of(const CodeBody& body);

private:
    struct Block {
        std::int64_t base;
        std::int64_t params;
        std::int64_t results;
        bool live;
    };
    void apply(const Operator& next);
    void open(const Operator& next);
    void rise(std::int64_t effect) {
        height_ = std::max<std::int64_t>(height_ + effect, 0);
        highest_ = std::max(highest_, height_);
    }

    ByteView wasm_;
    const ModuleInfo& info_;
    std::int64_t height_ = 0;
    std::int64_t highest_ = 0;
    bool live_ = true;
    std::vector<Block> blocks_;
};

std::uint64_t OperandHeight::of(const CodeBody& body) {
    height_ = 0;
    highest_ = 0;
    live_ = true;
    blocks_.clear();
    WasmReader in(wasm_, body.range.offset, body.range.size);
    const std::uint32_t groups = in.count("the number of groups of locals");
    for (std::uint32_t i = 0; i < groups; ++i) {
        in.u32("the number of locals");
        in.byte("the type of a local");
    }
    Operator next;
    for (std::uint32_t left = body.operators; left > 1; --left) {
        read_operator(in, next);
        apply(next);
    }
    return static_cast<std::uint64_t>(highest_);
}

void OperandHeight::open(const Operator& next) {
    Block block{.base = height_, .params = 0, .results = next.value == -0x40 ? 0 : 1, .live = live_};
    if (next.value >= 0) {
        const auto& type = info_.types[static_cast<std::size_t>(next.value)];
        block.params = static_cast<std::int64_t>(type.params.size());
        block.results = static_cast<std::int64_t>(type.results.size());
        block.base = std::max<std::int64_t>(height_ - block.params, 0);
    }
    blocks_.push_back(block);
}

void OperandHeight::apply(const Operator& next) {
    switch (next.code) {
        case op::if_:
            if (live_) rise(-1);
            [[fallthrough]];
        case op::block:
        case op::loop: open(next); return;
        case op::else_:
            if (blocks_.empty()) return;
            live_ = blocks_.back().live;
            height_ = blocks_.back().base + blocks_.back().params;
            return;
        case op::end:
            if (blocks_.empty()) return;
            live_ = blocks_.back().live;
            height_ = blocks_.back().base;
            rise(live_ ? blocks_.back().results : 0);
            blocks_.pop_back();
            return;
        default: break;
    }
    if (!live_) return;
    const auto call = [this](const FunctionType& type, std::int64_t more) {
        rise(-static_cast<std::int64_t>(type.params.size()) - more);
        rise(static_cast<std::int64_t>(type.results.size()));
    };
    switch (next.code) {
        case op::br: case op::br_table: case op::return_: case op::unreachable: live_ = false; return;
        case op::br_if: rise(-1); return;
        case op::call: call(info_.function_type(next.index), 0); return;
        case op::call_indirect: call(info_.types[next.index], 1); return;
        default: rise(plain_effect(next.code)); return;
    }
}

/// The call graph. Nodes: the defined functions, then one for each type that stands for "an indirect call of this type".
struct CallGraph {
    std::vector<std::vector<std::uint32_t>> edges;
    std::vector<bool> calls_itself;
};

/// For each type the first equal one: indirect calls compare types by their structure.
std::vector<std::uint32_t> canonical_types(const ModuleInfo& info) {
    std::vector<std::uint32_t> order(info.types.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto key = [&](std::uint32_t i) -> const FunctionType& { return info.types[i]; };
    const auto before = [&](std::uint32_t a, std::uint32_t b) {
        const auto by_params = key(a).params <=> key(b).params;
        if (by_params != 0) return by_params < 0;
        const auto by_results = key(a).results <=> key(b).results;
        return by_results != 0 ? by_results < 0 : a < b;
    };
    std::ranges::sort(order, before);
    std::vector<std::uint32_t> canonical(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        canonical[order[i]] = i > 0 && key(order[i]) == key(order[i - 1]) ? canonical[order[i - 1]] : order[i];
    }
    return canonical;
}

CallGraph call_graph(ByteView wasm, const ModuleInfo& info) {
    const std::size_t functions = info.code.size();
    CallGraph graph;
    graph.edges.resize(functions + info.types.size());
    graph.calls_itself.resize(functions);
    const auto canonical = canonical_types(info);
    for (std::size_t i = 0; i < functions; ++i) {
        const auto& body = info.code[i];
        if (!body.calls) continue;
        WasmReader in(wasm, body.range.offset, body.range.size);
        const std::uint32_t groups = in.count("the number of groups of locals");
        for (std::uint32_t n = 0; n < groups; ++n) {
            in.u32("the number of locals");
            in.byte("the type of a local");
        }
        auto& edges = graph.edges[i];
        Operator next;
        for (std::uint32_t n = 0; n < body.operators; ++n) {
            read_operator(in, next);
            if (next.code == op::call && next.index >= info.imported_functions) {
                const std::uint32_t callee = next.index - info.imported_functions;
                edges.push_back(callee);
                if (callee == i) graph.calls_itself[i] = true;
            } else if (next.code == op::call_indirect) {
                edges.push_back(static_cast<std::uint32_t>(functions + canonical[next.index]));
            }
        }
        std::ranges::sort(edges);
        edges.erase(std::ranges::unique(edges).begin(), edges.end());
    }
    const auto exports_table = std::ranges::any_of(info.exports, [](const WasmExport& e) { return e.kind == ExternKind::table; });
    std::vector<bool> reachable(info.functions.size());
    for (std::size_t i = 0; i < reachable.size(); ++i) reachable[i] = info.functions[i].addressable;
    if (exports_table) {
        for (const auto& exported : info.exports) {
            if (exported.kind == ExternKind::function) reachable[exported.index] = true;
        }
    }
    for (std::size_t i = 0; i < functions; ++i) {
        const std::size_t function = info.imported_functions + i;
        if (reachable[function]) graph.edges[functions + canonical[info.functions[function].type]].push_back(static_cast<std::uint32_t>(i));
    }
    return graph;
}

/// Which nodes are on a cycle: Tarjan's strongly connected components, without recursion.
std::vector<bool> on_cycle(const CallGraph& graph) {
    constexpr std::uint32_t unseen = 0;
    const std::size_t nodes = graph.edges.size();
    std::vector<bool> cyclic(nodes);
    std::vector<std::uint32_t> index(nodes, unseen);
    std::vector<std::uint32_t> low(nodes);
    std::vector<bool> on_stack(nodes);
    std::vector<std::uint32_t> component;
    struct Visit {
        std::uint32_t node;
        std::size_t edge;
    };
    std::vector<Visit> visits;
    std::uint32_t counter = 0;
    const auto enter = [&](std::uint32_t node) {
        index[node] = low[node] = ++counter;
        component.push_back(node);
        on_stack[node] = true;
        visits.push_back({.node = node, .edge = 0});
    };
    for (std::uint32_t root = 0; root < nodes; ++root) {
        if (index[root] != unseen) continue;
        enter(root);
        while (!visits.empty()) {
            auto& [node, edge] = visits.back();
            if (edge < graph.edges[node].size()) {
                const std::uint32_t next = graph.edges[node][edge++];
                if (index[next] == unseen) {
                    enter(next);
                } else if (on_stack[next]) {
                    low[node] = std::min(low[node], index[next]);
                }
                continue;
            }
            const std::uint32_t finished = node;
            visits.pop_back();
            if (!visits.empty()) low[visits.back().node] = std::min(low[visits.back().node], low[finished]);
            if (low[finished] != index[finished]) continue;
            const bool alone = component.back() == finished;
            for (;;) {
                const std::uint32_t member = component.back();
                component.pop_back();
                on_stack[member] = false;
                cyclic[member] = !alone;
                if (member == finished) break;
            }
        }
    }
    for (std::size_t i = 0; i < graph.calls_itself.size(); ++i) cyclic[i] = cyclic[i] || graph.calls_itself[i];
    return cyclic;
}

}  // namespace

std::vector<std::uint32_t> depth_costs(ByteView wasm, const ModuleInfo& info) {
    const auto cyclic = on_cycle(call_graph(wasm, info));
    OperandHeight height(wasm, info);
    std::vector<std::uint32_t> costs(info.code.size());
    for (std::size_t i = 0; i < costs.size(); ++i) {
        if (cyclic[i]) costs[i] = static_cast<std::uint32_t>((16 * (info.code[i].locals + height.of(info.code[i])) + 128 + 1023) / 1024);
    }
    return costs;
}

}  // namespace berth::wasm
