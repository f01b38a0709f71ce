#pragma once

#include <string_view>
#include <vector>

#include "berth/async/task.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/function.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// Everything that can be called in this process, whatever engine runs it: how servers reach functions. Safe from any
/// thread.
class Invoker {
public:
    virtual ~Invoker() = default;

    /// Answers exactly once, with one `finished` for each `received`. An unknown function is an Outcome with not_found.
    virtual Task<Outcome> call(Call call) = 0;

    /// The function of this name, whatever its state; null when there is none.
    virtual FunctionRef find(std::string_view name) const = 0;

    /// All of them, sorted by name.
    virtual std::vector<FunctionRef> list() const = 0;
};

}  // namespace berth
