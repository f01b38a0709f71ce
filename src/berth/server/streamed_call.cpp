#include "berth/server/streamed_call.hpp"

#include <utility>

#include "berth/engine/component.hpp"
#include "berth/server/request_body.hpp"

namespace berth {

namespace {

constexpr std::size_t held_of_answer = 256 * 1024;
constexpr std::size_t taken_at_once = 128 * 1024;

}  // namespace

/// A coroutine that owns itself and resumes whoever waits for the call as its very last step.
struct StreamedCall::Driver {
    struct promise_type {
        std::coroutine_handle<> next;

        struct Last {
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> own) const noexcept {
                const auto next = own.promise().next;
                own.destroy();
                return next ? next : std::noop_coroutine();
            }
            void await_resume() const noexcept {}
        };
        Driver get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        Last final_suspend() const noexcept { return {}; }
        void return_value(std::coroutine_handle<> waiting) noexcept { next = waiting; }
        void unhandled_exception() const noexcept { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
};

StreamedCall::Driver StreamedCall::drive(std::shared_ptr<StreamedCall> self, Task<Outcome> call) {
    std::coroutine_handle<> waiting;
    {
        auto own = std::move(call);  // gone before the end is told
        self->outcome_ = co_await std::move(own);
    }
    if (self->request_) self->request_->on_ready({});
    waiting = std::exchange(self->waiting_, {});
    self.reset();
    co_return waiting;
}

void StreamedCall::Stop::operator()() const noexcept {
    // Whoever has the whole answer may go; what the guest still does is its own.
    if (call->whole_.load(std::memory_order_acquire) && call->gone_.cause() == CancelCause::client_gone) return;
    call->stop_.cancel(call->gone_.cause());
}

StreamedCall::StreamedCall(std::shared_ptr<BodyPipe> request, Body answer, const CancelToken& gone)
    : reactor_(Reactor::current()), request_(std::move(request)), unwanted_(answer == Body::unwanted), answer_(held_of_answer), gone_(gone), on_gone_(gone, Stop{this}) {
    answer_.on_ready([this] { wake_loop(); });  // the guest writes only as long as the call, which owns this
}

auto StreamedCall::started(std::coroutine_handle<> driver) {
    struct Awaiter {
        StreamedCall* call;
        std::coroutine_handle<> driver;
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
            call->waiting_ = awaiting;
            return driver;
        }
        void await_resume() const noexcept {}
    };
    return Awaiter{this, driver};
}

auto StreamedCall::changed() {
    struct Awaiter {
        StreamedCall* call;
        bool await_ready() const noexcept { return call->outcome_.has_value(); }
        void await_suspend(std::coroutine_handle<> awaiting) const noexcept { call->waiting_ = awaiting; }
        void await_resume() const noexcept {}
    };
    return Awaiter{this};
}

void StreamedCall::wake_loop() {
    if (reactor_ == nullptr) return;
    reactor_->call_soon([self = shared_from_this()] {
        if (const auto waiting = std::exchange(self->waiting_, {})) waiting.resume();
    });
}

Task<void> StreamedCall::start(Invoker& invoker, Call call) {
    const auto self = shared_from_this();
    call.body = this;
    call.cancel = stop_.token();
    const auto driver = drive(self, invoker.call(std::move(call)));
    co_await started(driver.handle);
    while (!outcome_ && !(has_begun_ && decide(Going::out))) co_await changed();
}

bool StreamedCall::goes_out() const {
    if (!outcome_) return true;
    const std::lock_guard lock(mutex_);
    return !outcome_->error && !outcome_->response && head_;  // whole, with something that follows its body
}

bool StreamedCall::decide(Going going) {
    const std::lock_guard lock(mutex_);
    if (going_ == Going::undecided) going_ = going;
    return going_ == going;
}

CallResponse StreamedCall::take_head() {
    const std::lock_guard lock(mutex_);
    return std::move(*head_);
}

std::int32_t StreamedCall::read_request(std::size_t most, std::string_view& part) {
    if (!request_) {
        part = input_.substr(0, most);
        input_.remove_prefix(part.size());
        return part.empty() ? 1 : 0;
    }
    switch (request_->take(most, part_)) {
        case BodyPipe::State::some: part = part_; return 0;
        case BodyPipe::State::pending: return component_pending;
        case BodyPipe::State::ended: return 1;
        case BodyPipe::State::broken: break;
    }
    return 2;
}

void StreamedCall::begin_response(CallResponse response) {
    if (response.status == 204 || response.status == 304) unwanted_.store(true, std::memory_order_relaxed);
    {
        const std::lock_guard lock(mutex_);
        head_ = std::move(response);
    }
    if (reactor_ == nullptr) return;
    reactor_->call_soon([self = shared_from_this()] {
        self->has_begun_ = true;
        if (const auto waiting = std::exchange(self->waiting_, {})) waiting.resume();
    });
}

bool StreamedCall::has_room() {
    return reactor_ == nullptr || unwanted_.load(std::memory_order_relaxed) || answer_.has_room();
}

void StreamedCall::write_response(std::string_view part) {
    if (!unwanted_.load(std::memory_order_relaxed)) answer_.write(part);
}

void StreamedCall::end_response(Fields trailers) {
    whole_.store(true, std::memory_order_release);
    answer_.end(std::move(trailers));
    wake_loop();  // it may wait for this with the last part in its hands
}

void StreamedCall::on_change(std::function<void()> wake) {
    if (request_) request_->on_ready(wake);
    answer_.on_room(std::move(wake));
}

std::optional<HandlerBody::Answer> StreamedCall::take_answer() {
    {
        const std::lock_guard lock(mutex_);
        if (!head_) return std::nullopt;
    }
    // What follows a body cannot be told of one with a length.
    if (!answer_.trailers().empty() && reactor_ != nullptr) return std::nullopt;
    if (!decide(Going::whole)) return std::nullopt;
    Answer whole;
    std::string part;
    while (answer_.take(SIZE_MAX, part) == BodyPipe::State::some) {
        if (whole.body.empty()) whole.body = std::move(part);
        else whole.body += part;
    }
    const std::lock_guard lock(mutex_);
    whole.head = std::move(*head_);
    return whole;
}

class StreamedCall::Source final : public HttpBodySource {
public:
    Source(std::shared_ptr<StreamedCall> call, std::optional<std::uint64_t> length) : call_(std::move(call)), length_(length) {}

    Task<Result<std::string>> next(CancelToken) override {
        while (true) {
            std::string part;
            switch (call_->answer_.take(taken_at_once, part)) {
                case BodyPipe::State::some:
                    given_ += part.size();
                    if (length_ && given_ > *length_) co_return fail(Code::bad_output, "the body of the answer is longer than the handler said");
                    // With its last byte the client has everything, and may go: then the guest must have come to its end.
                    while (length_ && given_ == *length_ && !call_->whole_.load(std::memory_order_acquire) && !call_->has_ended()) co_await call_->changed();
                    co_return part;
                case BodyPipe::State::ended:
                    if (length_ && given_ != *length_) co_return fail(Code::bad_output, "the body of the answer is shorter than the handler said");
                    co_return std::string();
                case BodyPipe::State::broken: co_return std::unexpected(*call_->answer_.error());
                case BodyPipe::State::pending: break;
            }
            if (call_->has_ended()) co_return fail(Code::bad_output, "the handler ended in the middle of its answer");
            co_await call_->changed();
        }
    }
    std::optional<std::uint64_t> length() const noexcept override { return length_; }
    BodyPipe::Fields trailers() override {
        auto fields = call_->answer_.trailers();
        // What says where a message ends or whom it is for belongs to its head.
        std::erase_if(fields, [](const auto& field) { return is_of_connection(field.first) || field.first == "content-length" || field.first == "host"; });
        return fields;
    }
    Task<void> close() override {
        std::string unread;
        if (!call_->unwanted_.load(std::memory_order_relaxed) && call_->answer_.take(0, unread) != BodyPipe::State::ended) call_->stop_.cancel(CancelCause::client_gone);
        while (!call_->has_ended()) co_await call_->changed();
    }

private:
    std::shared_ptr<StreamedCall> call_;  // owners: this and the call until it ends
    std::optional<std::uint64_t> length_;
    std::uint64_t given_ = 0;
};

std::unique_ptr<HttpBodySource> StreamedCall::source(std::optional<std::uint64_t> length) { return std::make_unique<Source>(shared_from_this(), length); }

}  // namespace berth
