#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "berth/base/bytes.hpp"
#include "berth/engine/memory_account.hpp"

namespace berth {

/// Where a guest's standard input comes from. One thread at a time.
class InputStream {
public:
    virtual ~InputStream() = default;
    static constexpr std::int64_t failed = -1;
    static constexpr std::int64_t interrupted = -2;  // a signal came: look whether the call must end, then read again

    /// Reads at most `out.size()` bytes; 0 at the end. May block, until a signal interrupts it.
    virtual std::int64_t read(MutableBytes out) = 0;
    enum class Ready : std::uint8_t { yes, no, interrupted };
    /// Whether a read would not block, waiting at most `wait` for it.
    virtual Ready wait_ready(std::chrono::nanoseconds wait) = 0;
    /// Bytes that can be read without blocking, when that is known.
    virtual std::uint64_t available() const = 0;
    virtual bool is_terminal() const { return false; }
};

/// Where a guest's standard output or error goes. One thread at a time.
class OutputStream {
public:
    enum class Written : std::uint8_t { all, over_limit, out_of_memory, failed };
    virtual ~OutputStream() = default;
    /// over_limit: nothing of it was kept, since it passes the limit `output`; out_of_memory: the account of the call
    /// does not allow to keep it.
    virtual Written write(ByteView bytes) = 0;
    virtual bool is_terminal() const { return false; }
};

/// Input that is all there at the start.
class TextInput final : public InputStream {
public:
    explicit TextInput(std::string_view text) noexcept : rest_(text) {}
    std::int64_t read(MutableBytes out) override;
    Ready wait_ready(std::chrono::nanoseconds) override { return Ready::yes; }
    std::uint64_t available() const override { return rest_.size(); }

private:
    std::string_view rest_;
};

/// Output kept in memory up to a limit; the write that passes it keeps nothing and says so. What it keeps counts as
/// held by the host in `account`, which outlives it.
class BufferedOutput final : public OutputStream {
public:
    explicit BufferedOutput(std::uint64_t limit, MemoryAccount* account = nullptr) noexcept : limit_(limit), account_(account) {}
    Written write(ByteView bytes) override;
    const std::string& text() const noexcept { return text_; }
    /// What was kept, as far as it was below the limit; then it begins anew.
    std::string take() noexcept {
        over_limit_ = false;
        return std::exchange(text_, {});
    }
    bool over_limit() const noexcept { return over_limit_; }

private:
    std::string text_;
    std::uint64_t limit_;
    MemoryAccount* account_;
    bool over_limit_ = false;
};

/// A descriptor of the host process: the live terminal of `berth run`. The descriptor stays the caller's.
class DescriptorInput final : public InputStream {
public:
    explicit DescriptorInput(int descriptor) noexcept : descriptor_(descriptor) {}
    std::int64_t read(MutableBytes out) override;
    Ready wait_ready(std::chrono::nanoseconds wait) override;
    std::uint64_t available() const override;
    bool is_terminal() const override;

private:
    int descriptor_;
};

class DescriptorOutput final : public OutputStream {
public:
    DescriptorOutput(int descriptor, std::uint64_t limit) noexcept : descriptor_(descriptor), left_(limit) {}
    Written write(ByteView bytes) override;
    bool is_terminal() const override;
    bool over_limit() const noexcept { return over_limit_; }

private:
    int descriptor_;
    std::uint64_t left_;
    bool over_limit_ = false;
};

}  // namespace berth
