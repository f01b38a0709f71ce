#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

/// The body of one HTTP message between a side that makes it and a side that takes it, in bounded memory.
///
/// Each side is one thread at a time, any thread; nobody blocks. Who finds nothing to take, or no room, is told through
/// its callback when that has changed. Callbacks run on the thread of the other side, without a lock held; they do not
/// throw, and wake others only by posting to them. Shared by both sides, either of which may go first.
class BodyPipe {
public:
    enum class State : std::uint8_t { some, pending, ended, broken };
    using Fields = std::vector<std::pair<std::string, std::string>>;  // names in lower case

    /// Takes more as long as it holds less than `room`.
    explicit BodyPipe(std::size_t room = 256 * 1024) : room_(room) {}
    BodyPipe(const BodyPipe&) = delete;
    BodyPipe& operator=(const BodyPipe&) = delete;

    // The side that makes it.
    /// When false, `on_room` is called once there is some.
    bool has_room();
    /// Takes all of it; with room asked before, what is held stays within the room and one part.
    void write(std::string_view part);
    /// It is whole. Nothing may follow.
    void end(Fields trailers = {});
    /// It will not become whole. The first reason stands; what was written before can still be taken. After `end`: nothing.
    void break_off(Error error);
    /// Called as well, once, when somebody first finds nothing to take.
    void on_room(std::function<void()> call);

    // The side that takes it.
    /// `some`: a part of at most `most` bytes is in `part`. `pending`: nothing yet; `on_ready` is called when there is.
    State take(std::size_t most, std::string& part);
    void on_ready(std::function<void()> call);
    /// Nothing is done before all of it is there: it has to come in the time and at the pace of a body that is read first.
    void want_whole() noexcept { wanted_whole_.store(true, std::memory_order_relaxed); }
    bool is_wanted_whole() const noexcept { return wanted_whole_.load(std::memory_order_relaxed); }
    Fields trailers() const;       // when it has ended
    std::optional<Error> error() const;

    std::uint64_t written() const;

private:
    const std::size_t room_;
    std::atomic<bool> wanted_whole_{false};
    mutable std::mutex mutex_;
    // Guarded by mutex_:
    std::string held_;
    std::size_t taken_ = 0;        // of held_
    std::uint64_t written_ = 0;
    bool ended_ = false;
    bool reader_waits_ = false;
    bool writer_waits_ = false;
    bool asked_ = false;           // somebody has found nothing
    std::optional<Error> error_;
    Fields trailers_;
    std::function<void()> on_room_;
    std::function<void()> on_ready_;
};

}  // namespace berth
