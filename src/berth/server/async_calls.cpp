#include "berth/server/async_calls.hpp"

#include <algorithm>

#include "berth/base/format.hpp"

namespace berth {

void AsyncCalls::add(Waiting waiting, std::unique_lock<std::mutex> lock) {
    line_.push_back(std::move(waiting));
    const bool start = running_ < parts_.at_once && !closed_;
    if (start) ++running_;
    lock.unlock();
    if (start) scope_.spawn(parts_.reactors.next(), work());
}

void AsyncCalls::resume() {
    if (parts_.store == nullptr) return;
    const auto put_in_line = [this](const std::string& id) {
        auto record = parts_.store->find(id);
        if (!record || !*record) return;
        CancelSource cancel;
        Waiting waiting;
        waiting.call.id = id;
        waiting.cancel = cancel.token();
        parts_.records.add_pending(std::move(**record), std::move(cancel));
        add(std::move(waiting), std::unique_lock(mutex_));
    };
    std::ranges::for_each(parts_.store->interrupted(), put_in_line);
    std::ranges::for_each(parts_.store->left_over(), put_in_line);
}

Task<Result<void>> AsyncCalls::accept(Call call) {
    {
        const std::lock_guard lock(mutex_);
        if (closed_) co_return fail(Code::shutting_down, "the host is shutting down; try again elsewhere or later");
        if (line_.size() + entering_ >= parts_.depth) co_return fail(Code::queue_full, format("{} asynchronous calls wait already", line_.size() + entering_));
        ++entering_;
    }
    CancelSource cancel;
    Waiting waiting;
    waiting.cancel = cancel.token();
    auto record = parts_.records.pending(call);
    Result<void> durable;
    if (parts_.store != nullptr) {
        durable = co_await parts_.store->accept(call, record);
        waiting.call.id = std::move(call.id);
    } else {
        waiting.call = std::move(call);
    }
    std::unique_lock lock(mutex_);
    --entering_;
    if (!durable) co_return durable;
    if (closed_ && parts_.store == nullptr) co_return fail(Code::shutting_down, "the host is shutting down; try again elsewhere or later");
    parts_.records.add_pending(std::move(record), std::move(cancel));
    add(std::move(waiting), std::move(lock));
    co_return Result<void>();
}

Task<void> AsyncCalls::work() {
    while (true) {
        Waiting next;
        {
            const std::lock_guard lock(mutex_);
            if (line_.empty() || closed_) {
                --running_;
                co_return;
            }
            next = std::move(line_.front());
            line_.pop_front();
        }
        auto call = std::move(next.call);
        if (parts_.store != nullptr) {
            auto loaded = co_await parts_.store->load(call.id);
            if (!loaded || !*loaded) {
                parts_.log.write(LogLevel::error, "records", loaded ? "an accepted call is not in the store any more" : "an accepted call cannot be begun: " + loaded.error().full_message(), {{"call", call.id}});
                continue;
            }
            call = std::move(**loaded);
            call.start = this;
        }
        call.cancel = next.cancel;
        const auto outcome = co_await parts_.invoker.call(std::move(call));
    }
}

Task<Result<void>> AsyncCalls::starting(std::string id, bool durable) { return parts_.store->begin(std::move(id), durable); }

void AsyncCalls::stop() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    line_.clear();
}

Task<void> AsyncCalls::close() { co_await scope_.join(); }

}  // namespace berth
