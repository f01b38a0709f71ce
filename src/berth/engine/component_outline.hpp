#pragma once

#include <string>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"

namespace berth {

/// What a component imports and exports, with the types of its functions as WIT writes them. Read from its types alone: nothing is
/// compiled, function bodies are not looked at, and whether this host has what is imported is not asked.
struct ComponentOutline {
    struct Function {
        std::string name;
        std::string type;  // `(self: borrow<fields>, name: string) -> bool`; cut off with `…` after 2 KiB
    };
    struct Item {
        std::string name;  // `wasi:io/poll@0.2.0`
        std::string type;  // interface, core module, component, type, or the type of a function
        std::vector<Function> functions;
    };

    /// Fails with invalid_module when the types do not fit together.
    static Result<ComponentOutline> read(ByteView component);

    bool handles_http() const noexcept;  // wasi:http/incoming-handler
    bool runs_command() const noexcept;  // wasi:cli/run
    std::vector<std::string> imported_interfaces() const;

    std::vector<Item> imports;
    std::vector<Item> exports;
};

}  // namespace berth
