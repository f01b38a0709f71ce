#include "berth/net/body_pipe.hpp"

#include <algorithm>

namespace berth {

bool BodyPipe::has_room() {
    const std::lock_guard lock(mutex_);
    writer_waits_ = held_.size() - taken_ >= room_;
    return !writer_waits_;
}

void BodyPipe::write(std::string_view part) {
    if (part.empty()) return;
    std::function<void()> call;
    {
        const std::lock_guard lock(mutex_);
        if (ended_ || error_) return;
        if (taken_ > 0 && taken_ >= held_.size() / 2) {
            held_.erase(0, taken_);
            taken_ = 0;
        }
        held_.append(part);
        written_ += part.size();
        if (std::exchange(reader_waits_, false)) call = on_ready_;
    }
    if (call) call();
}

void BodyPipe::end(Fields trailers) {
    std::function<void()> call;
    {
        const std::lock_guard lock(mutex_);
        if (ended_ || error_) return;
        ended_ = true;
        trailers_ = std::move(trailers);
        if (std::exchange(reader_waits_, false)) call = on_ready_;
    }
    if (call) call();
}

void BodyPipe::break_off(Error error) {
    std::function<void()> call;
    {
        const std::lock_guard lock(mutex_);
        if (ended_ || error_) return;
        error_ = std::move(error);
        if (std::exchange(reader_waits_, false)) call = on_ready_;
    }
    if (call) call();
}

BodyPipe::State BodyPipe::take(std::size_t most, std::string& part) {
    std::function<void()> call;
    auto state = State::some;
    {
        const std::lock_guard lock(mutex_);
        const auto count = std::min(most, held_.size() - taken_);
        if (count == 0) {
            state = ended_ ? State::ended : error_ ? State::broken : State::pending;
            reader_waits_ = state == State::pending;
            if (reader_waits_ && !std::exchange(asked_, true)) call = on_room_;
        } else if (count == held_.size()) {
            part.swap(held_);
            held_.clear();
        } else {
            part.assign(held_, taken_, count);
            taken_ += count;
            if (taken_ == held_.size()) {
                held_.clear();
                taken_ = 0;
            }
        }
        if (writer_waits_ && held_.size() - taken_ <= room_ / 2) {
            writer_waits_ = false;
            call = on_room_;
        }
    }
    if (call) call();
    return state;
}

void BodyPipe::on_room(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    on_room_ = std::move(call);
}

void BodyPipe::on_ready(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    on_ready_ = std::move(call);
}

BodyPipe::Fields BodyPipe::trailers() const {
    const std::lock_guard lock(mutex_);
    return trailers_;
}

std::optional<Error> BodyPipe::error() const {
    const std::lock_guard lock(mutex_);
    return error_;
}

std::uint64_t BodyPipe::written() const {
    const std::lock_guard lock(mutex_);
    return written_;
}

}  // namespace berth
