#include "berth/host/providers/console.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace berth {

std::int64_t TextInput::read(MutableBytes out) {
    const auto count = std::min(out.size(), rest_.size());
    if (count != 0) std::memcpy(out.data(), rest_.data(), count);
    rest_.remove_prefix(count);
    return static_cast<std::int64_t>(count);
}

OutputStream::Written BufferedOutput::write(ByteView bytes) {
    if (over_limit_ || bytes.size() > limit_ - text_.size()) {
        over_limit_ = true;
        return Written::over_limit;
    }
    if (account_ != nullptr && !account_->hold(bytes.size())) return Written::out_of_memory;
    text_.append(as_text(bytes));
    return Written::all;
}

std::int64_t DescriptorInput::read(MutableBytes out) {
    // Waiting happens in poll, which a signal always ends; a read would be restarted.
    switch (wait_ready(std::chrono::nanoseconds::max())) {
        case Ready::yes: break;
        case Ready::no:
        case Ready::interrupted: return interrupted;
    }
    // Guest memory may be write-protected against the kernel, so it fills a buffer of the host.
    std::array<std::uint8_t, 65536> buffer;
    const auto got = ::read(descriptor_, buffer.data(), std::min(out.size(), buffer.size()));
    if (got < 0) return errno == EINTR || errno == EAGAIN ? interrupted : failed;
    std::memcpy(out.data(), buffer.data(), static_cast<std::size_t>(got));
    return got;
}

InputStream::Ready DescriptorInput::wait_ready(std::chrono::nanoseconds wait) {
    pollfd entry{descriptor_, POLLIN, 0};
    const timespec limit{wait.count() / 1'000'000'000, wait.count() % 1'000'000'000};
    const int ready = ::ppoll(&entry, 1, wait == std::chrono::nanoseconds::max() ? nullptr : &limit, nullptr);
    if (ready < 0) return errno == EINTR ? Ready::interrupted : Ready::yes;  // anything else shows when reading
    return ready > 0 ? Ready::yes : Ready::no;
}

bool DescriptorInput::is_terminal() const { return ::isatty(descriptor_) == 1; }
bool DescriptorOutput::is_terminal() const { return ::isatty(descriptor_) == 1; }

std::uint64_t DescriptorInput::available() const {
    int count = 0;
    return ioctl(descriptor_, FIONREAD, &count) == 0 && count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

OutputStream::Written DescriptorOutput::write(ByteView bytes) {
    if (over_limit_ || bytes.size() > left_) {
        over_limit_ = true;
        return Written::over_limit;
    }
    left_ -= bytes.size();
    while (!bytes.empty()) {
        const auto put = ::write(descriptor_, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return Written::failed;
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return Written::all;
}

}  // namespace berth
