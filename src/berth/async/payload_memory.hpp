#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"

namespace berth {

class PayloadBuffer;
class Reactor;

/// The memory that inputs and outputs of calls take together. Whoever wants more of it than there is stops reading until
/// some is given back; what is larger than `in_memory` goes to a file instead.
///
/// One input and one output at a time may go beyond the bound, so that calls that each hold a part of what they need cannot wait for
/// each other for ever. Any thread. Owned by everything that holds some of it.
class PayloadMemory {
public:
    struct Options {
        std::uint64_t most = 1ULL << 30;
        std::uint64_t in_memory = 8 << 20;   // one that is larger does not wait, it goes to a file
        std::filesystem::path folder;        // of these files, which have no name; empty: everything waits
    };
    struct Use {
        std::uint64_t used = 0;       // bytes in memory now
        std::uint64_t most_used = 0;  // at any moment since the start
        std::uint64_t in_files = 0;   // bytes in files now
        std::uint64_t files = 0;      // made since the start
        std::uint64_t waits = 0;      // how often somebody stopped reading since the start
        std::size_t waiting = 0;      // who does now
    };

    explicit PayloadMemory(Options options) : options_(std::move(options)) {}
    PayloadMemory(const PayloadMemory&) = delete;
    PayloadMemory& operator=(const PayloadMemory&) = delete;

    const Options& options() const noexcept { return options_; }
    Use use() const;

private:
    friend class PayloadBuffer;
    static constexpr std::size_t kinds = 2;
    struct Waiter {
        PayloadBuffer* buffer;
        std::coroutine_handle<> coroutine;
        Reactor* reactor;
    };

    bool take(PayloadBuffer& buffer, std::uint64_t bytes);
    void take_anyway(std::uint64_t bytes);
    void give(PayloadBuffer& buffer, std::uint64_t bytes);
    bool wait(PayloadBuffer& buffer, std::coroutine_handle<> coroutine);
    void stop_waiting(PayloadBuffer& buffer);
    void count_file(std::int64_t bytes, bool fresh);
    void grant(std::uint64_t bytes);  // mutex_ is held; likewise below
    bool may_have(const PayloadBuffer& buffer, std::uint64_t bytes) const;
    void serve();

    const Options options_;
    mutable std::mutex mutex_;
    // Guarded by mutex_:
    Use use_;
    std::array<std::deque<Waiter>, kinds> lines_;
    std::array<PayloadBuffer*, kinds> beyond_{};  // who may go beyond the bound
};

/// One input or output while it is read, and after that. Up to `uncounted` bytes it is a string and nothing else.
///
/// Used by one thread at a time. Whoever fills it asks for room before each part, and waits when there is none.
class PayloadBuffer {
public:
    enum class Kind : std::uint8_t { input, output };
    static constexpr std::size_t uncounted = 64 * 1024;

    /// `memory` null: a string without a bound.
    PayloadBuffer(std::shared_ptr<PayloadMemory> memory, Kind kind) : memory_(std::move(memory)), kind_(kind) {}
    /// What exists already, bound or no bound.
    PayloadBuffer(std::shared_ptr<PayloadMemory> memory, Kind kind, std::string text);
    ~PayloadBuffer() { clear(); }
    PayloadBuffer(const PayloadBuffer&) = delete;
    PayloadBuffer& operator=(const PayloadBuffer&) = delete;

    /// How large it becomes, where that is known before.
    void expect(std::uint64_t size) noexcept { expected_ = size; }
    /// It waits, however large it becomes: it is wanted as a string.
    void stay_in_memory() noexcept { no_file_ = true; }
    /// Whether so much more may be added now. False: `co_await room()` and ask again. Fails with io_error when the file cannot be
    /// written.
    Result<bool> reserve(std::size_t bytes);
    /// Until there is room for what was asked last, or `stop`. The buffer stays where it is meanwhile.
    auto room() noexcept {
        struct Awaiter {
            PayloadBuffer& buffer;
            bool await_ready() const noexcept { return buffer.stopped_; }
            bool await_suspend(std::coroutine_handle<> awaiting) const { return buffer.memory_->wait(buffer, awaiting); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }
    /// Nobody waits for room any more. Any thread, as long as it lives.
    void stop() {
        if (memory_) memory_->stop_waiting(*this);
    }
    /// Adds what there was room for.
    Result<void> append(std::string_view part);
    /// Reads so much from the descriptor, as read(2) does; but for a file that cannot be written: `failed()`.
    std::int64_t read_from(int descriptor, std::size_t room);
    bool failed() const noexcept { return failed_; }
    /// It is whole: what was asked for too much is given back, and the text of a file can be read.
    Result<void> finish();

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// Whether it counts: then it is worth not copying.
    bool is_large() const noexcept { return counted_ > 0 || in_file_; }
    bool is_in_file() const noexcept { return in_file_; }
    /// Valid until it changes; of a file, when it is finished.
    std::string_view text() const noexcept;
    /// Only this part of the text is left.
    void keep(std::size_t at, std::size_t size) noexcept;
    /// Nobody looks at the text before this place for now: what is resident of a file there need not be.
    void seen(std::size_t end) const noexcept;
    /// Rewrites the text, which is finished, part by part: `shorten` gets each part and a place of its size to write to, which may be
    /// the same, and returns how much it wrote. Fails with io_error when a file cannot be written.
    Result<void> rewrite(const std::function<std::size_t(std::string_view part, char* to)>& shorten);
    /// The text as a string of its own; what counted still does, until `clear`.
    std::string take();
    /// The same payload, which is finished, for owners that end independently; this one is empty then.
    std::shared_ptr<PayloadBuffer> share();
    void clear() noexcept;

private:
    friend class PayloadMemory;
    Result<void> to_file();
    Result<void> write(std::string_view part);

    std::shared_ptr<PayloadMemory> memory_;  // null: no bound
    Kind kind_;
    bool in_file_ = false;
    bool no_file_ = false;            // one could not be made
    bool failed_ = false;             // the file could not be written
    bool beyond_ = false;             // guarded by the memory's mutex, as are the next two while it waits
    bool stopped_ = false;
    std::uint64_t wanted_ = 0;        // what was asked for last, beside what counts
    std::uint64_t counted_ = 0;
    std::uint64_t expected_ = 0;
    std::string bytes_;
    std::size_t at_ = 0;              // where the text begins, of what there is
    std::size_t size_ = 0;
    int descriptor_ = -1;             // of the file, until it is finished
    char* mapped_ = nullptr;
    std::size_t mapped_size_ = 0;
};

}  // namespace berth
