#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/function_set.hpp"
#include "berth/async/cancel.hpp"
#include "berth/async/reactor.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/outcome.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth::cli {

struct Context;

/// What `berth bench` calls, and how.
struct BenchCall {
    std::string entry;                   // export of a module; empty: its own
    std::vector<std::string> arguments;  // of a module
    std::string input;
    bool has_input = false;              // else a module gets nothing, a function `{}`
    std::string folder;                  // of functions; empty: functions.path
    unsigned at_once = 1;
};

/// A module or a function that is called again and again, through everything that calls of a server go through as well. Any thread.
class BenchTarget {
public:
    /// `what`: a file, the folder of a function, or the name of one. Fails when it cannot be called as asked.
    static Result<std::unique_ptr<BenchTarget>> open(Context& context, Application& application, Reactors& reactors, const PolicyRequest& request, const std::string& what, const BenchCall& call);

    Outcome call(const CancelToken& cancel);
    void close();

    const std::string& name() const noexcept { return name_; }
    const std::string& kind() const noexcept { return kind_; }            // its world, or the runtime of a program
    std::string_view isolation() const noexcept { return isolation_; }   // fresh, pooled, process
    const Limits& limits() const noexcept { return function_->limits; }
    bool is_program() const noexcept { return function_->engine == EngineKind::subprocess; }

private:
    BenchTarget() = default;
    Result<void> open_module(Context& context, Application& application, const PolicyRequest& request);
    Result<void> open_function(Context& context, Application& application, Reactors& reactors, const PolicyRequest& request, const BenchCall& call);

    std::string name_, kind_, entry_, input_;
    std::string_view isolation_ = "fresh";
    std::vector<std::string> arguments_;
    FunctionRef function_;                    // with the calls of it
    std::unique_ptr<WasmFunctions> module_;   // of a file; null for functions
    std::unique_ptr<FunctionSet> functions_;  // null for a module
    std::unique_ptr<Runtime> runtime_;
};

}  // namespace berth::cli
