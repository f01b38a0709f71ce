#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "berth/async/task.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/function.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// One kind of function and everything needed to run it. The server, the command line and embedders reach guests
/// through this and nothing else.
///
/// Safe from any thread. `call` answers exactly once, also when cancelled and when the engine closes.
class Engine {
public:
    virtual ~Engine() = default;

    /// The functions it serves now: an immutable snapshot, sorted by name.
    virtual std::vector<FunctionRef> list() const = 0;

    /// Runs one call of one of its functions. May run the guest on the calling thread, take what the call carries and fill in what is its own to say; what
    /// names the call (ids, function, depth, trace) stays as it is, for those who watch it.
    virtual Task<Outcome> call(FunctionRef function, Call& call) = 0;

    /// Whether a call of this function that was cut off with its host is taken up by the next one: Call::durable.
    virtual bool resumes(const Function& function) const {
        static_cast<void>(function);
        return false;
    }

    /// Ends what still runs after `grace`. Afterwards no guest and no process of it exists.
    virtual Task<void> close(std::chrono::milliseconds grace) = 0;
};

}  // namespace berth
