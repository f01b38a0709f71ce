#include "berth/server/large_payload.hpp"

#include <coroutine>
#include <utility>

#include "berth/async/reactor.hpp"
#include "berth/net/body_pipe.hpp"
#include "berth/net/http_head.hpp"

namespace berth {

namespace {

constexpr std::size_t taken_at_once = 128 * 1024;
constexpr std::size_t sent_at_once = 256 * 1024;

/// The side of a pipe that takes, in the loop in which the other side is filled.
class PipeReader {
public:
    explicit PipeReader(BodyPipe& pipe) : pipe_(pipe), reactor_(*Reactor::current()) {
        pipe_.on_ready([this] {
            ready_ = true;
            if (const auto waiting = std::exchange(waiting_, {})) reactor_.post(waiting);
        });
    }
    ~PipeReader() { pipe_.on_ready({}); }
    PipeReader(const PipeReader&) = delete;
    PipeReader& operator=(const PipeReader&) = delete;

    BodyPipe::State take(std::string& part) {
        ready_ = false;
        return pipe_.take(taken_at_once, part);
    }
    auto ready() noexcept {
        struct Awaiter {
            PipeReader& reader;
            bool await_ready() const noexcept { return reader.ready_; }
            void await_suspend(std::coroutine_handle<> awaiting) const noexcept { reader.waiting_ = awaiting; }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

private:
    BodyPipe& pipe_;
    Reactor& reactor_;
    bool ready_ = false;
    std::coroutine_handle<> waiting_;
};

}  // namespace

Task<Result<std::shared_ptr<PayloadBuffer>>> collect_body(HttpRequest& request, std::shared_ptr<PayloadMemory> memory, BodyAs as) {
    const auto buffer = std::make_shared<PayloadBuffer>(std::move(memory), PayloadBuffer::Kind::input);
    const auto pipe = request.parts;
    if (as == BodyAs::text) buffer->stay_in_memory();
    if (const auto length = parse_length(request.field("content-length").value_or(""))) buffer->expect(*length);
    pipe->want_whole();
    PipeReader reader(*pipe);
    const auto stop = [&buffer] { buffer->stop(); };
    const CancelCallback gone(request.cancel, stop);
    std::string part;
    while (true) {
        const auto state = reader.take(part);
        if (state == BodyPipe::State::pending) {
            co_await reader.ready();
            continue;
        }
        if (state == BodyPipe::State::broken) co_return std::unexpected(*pipe->error());
        if (state == BodyPipe::State::ended) break;
        BERTH_CO_TRY(auto fits, buffer->reserve(part.size()));
        while (!fits) {
            if (request.cancel.requested()) co_return std::unexpected(request.cancel.error());
            co_await buffer->room();
            BERTH_CO_TRY(fits, buffer->reserve(part.size()));
        }
        BERTH_CO_TRYV(buffer->append(part));
    }
    BERTH_CO_TRYV(buffer->finish());
    co_return buffer;
}

Task<Result<std::string>> LargeAnswer::next(CancelToken gone) {
    static_cast<void>(gone);
    if (!before_.empty()) co_return std::exchange(before_, {});
    if (middle_) {
        if (!middle_->is_in_file()) {
            // Counts until it has been sent, which is when the next part is asked for.
            if (sent_ == 0) {
                sent_ = middle_->size();
                co_return middle_->take();
            }
        } else if (sent_ < middle_->size()) {
            auto part = std::string(middle_->text().substr(sent_, sent_at_once));
            sent_ += part.size();
            middle_->seen(sent_);
            co_return part;
        }
        middle_.reset();
    }
    co_return std::exchange(after_, {});
}

}  // namespace berth
