#include "berth/server/async_calls.hpp"

#include "berth/base/format.hpp"

namespace berth {

Result<void> AsyncCalls::accept(Call call) {
    bool start = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return fail(Code::shutting_down, "the host is shutting down; try again elsewhere or later");
        if (line_.size() >= depth_) return fail(Code::queue_full, format("{} asynchronous calls wait already", line_.size()));
        CancelSource cancel;
        call.cancel = cancel.token();
        records_.add_pending(call, std::move(cancel));
        line_.push_back(std::move(call));
        start = running_ < at_once_;
        if (start) ++running_;
    }
    if (start) scope_.spawn(reactors_.next(), work());
    return {};
}

Task<void> AsyncCalls::work() {
    while (true) {
        std::optional<Call> next;
        {
            const std::lock_guard lock(mutex_);
            if (line_.empty() || closed_) {
                --running_;
                co_return;
            }
            next = std::move(line_.front());
            line_.pop_front();
        }
        const auto outcome = co_await invoker_.call(std::move(*next));
    }
}

Task<void> AsyncCalls::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        line_.clear();
    }
    co_await scope_.join();
}

}  // namespace berth
