#include "berth/async/payload_memory.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "berth/async/reactor.hpp"
#include "berth/base/format.hpp"

namespace berth {

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t largest_part = 1 << 20;

/// A file without a name.
int nameless_file(const std::filesystem::path& folder) {
    int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0 && errno == ENOENT) {
        std::error_code ignored;
        std::filesystem::create_directories(folder, ignored);
        file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    }
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return file;
    auto name = (folder / "payload-XXXXXX").string();
    file = ::mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0) ::unlink(name.c_str());
    return file;
}

}  // namespace

PayloadMemory::Use PayloadMemory::use() const {
    const std::lock_guard lock(mutex_);
    return use_;
}

void PayloadMemory::grant(std::uint64_t bytes) {
    use_.used += bytes;
    use_.most_used = std::max(use_.most_used, use_.used);
}

bool PayloadMemory::may_have(const PayloadBuffer& buffer, std::uint64_t bytes) const { return buffer.beyond_ || (use_.used <= options_.most && bytes <= options_.most - use_.used); }

bool PayloadMemory::take(PayloadBuffer& buffer, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    // Who came first is served first.
    if (!buffer.beyond_ && !lines_[static_cast<std::size_t>(buffer.kind_)].empty()) return false;
    if (!may_have(buffer, bytes)) return false;
    grant(bytes);
    return true;
}

void PayloadMemory::take_anyway(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    grant(bytes);
}

void PayloadMemory::give(PayloadBuffer& buffer, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    use_.used -= bytes;
    if (std::exchange(buffer.beyond_, false)) beyond_[static_cast<std::size_t>(buffer.kind_)] = nullptr;
    serve();
}

void PayloadMemory::serve() {
    // Outputs first: what they belong to ends by itself, and a client may take its time.
    for (std::size_t kind = kinds; kind-- > 0;) {
        auto& line = lines_[kind];
        while (!line.empty()) {
            const auto first = line.front();
            auto& buffer = *first.buffer;
            if (!may_have(buffer, buffer.wanted_)) {
                if (beyond_[kind] != nullptr) break;
                beyond_[kind] = &buffer;
                buffer.beyond_ = true;
            }
            grant(buffer.wanted_);
            buffer.counted_ += std::exchange(buffer.wanted_, 0);
            line.pop_front();
            --use_.waiting;
            first.reactor->post(first.coroutine);
        }
    }
}

bool PayloadMemory::wait(PayloadBuffer& buffer, std::coroutine_handle<> coroutine) {
    auto* reactor = Reactor::current();
    BERTH_ASSERT(reactor != nullptr);
    const auto kind = static_cast<std::size_t>(buffer.kind_);
    const std::lock_guard lock(mutex_);
    if (buffer.stopped_) return false;
    const bool first = lines_[kind].empty();
    if (first && !may_have(buffer, buffer.wanted_) && beyond_[kind] == nullptr) {
        beyond_[kind] = &buffer;
        buffer.beyond_ = true;
    }
    if (buffer.beyond_ || (first && may_have(buffer, buffer.wanted_))) {
        grant(buffer.wanted_);
        buffer.counted_ += std::exchange(buffer.wanted_, 0);
        return false;
    }
    lines_[kind].push_back({&buffer, coroutine, reactor});
    ++use_.waiting;
    ++use_.waits;
    return true;
}

void PayloadMemory::stop_waiting(PayloadBuffer& buffer) {
    const std::lock_guard lock(mutex_);
    buffer.stopped_ = true;
    auto& line = lines_[static_cast<std::size_t>(buffer.kind_)];
    const auto place = std::ranges::find(line, &buffer, &Waiter::buffer);
    if (place == line.end()) return;
    place->reactor->post(place->coroutine);
    line.erase(place);
    --use_.waiting;
}

void PayloadMemory::count_file(std::int64_t bytes, bool fresh) {
    const std::lock_guard lock(mutex_);
    use_.in_files += static_cast<std::uint64_t>(bytes);
    if (fresh) ++use_.files;
}

PayloadBuffer::PayloadBuffer(std::shared_ptr<PayloadMemory> memory, Kind kind, std::string text) : memory_(std::move(memory)), kind_(kind), bytes_(std::move(text)), size_(bytes_.size()) {
    if (!memory_ || size_ <= uncounted) return;
    counted_ = size_;
    memory_->take_anyway(counted_);
}

Result<bool> PayloadBuffer::reserve(std::size_t bytes) {
    const auto total = static_cast<std::uint64_t>(size_) + bytes;
    if (in_file_ || !memory_ || total <= uncounted || total <= counted_) return true;
    wanted_ = total - counted_;
    const auto& options = memory_->options();
    const bool has_file = !options.folder.empty() && !no_file_;
    // Who may go beyond the bound does so only as far as others that have no file.
    if (beyond_ && has_file && size_ > options.in_memory) {
        BERTH_TRYV(to_file());
        if (in_file_) return true;
    }
    if (memory_->take(*this, wanted_)) {
        counted_ += std::exchange(wanted_, 0);
        return true;
    }
    if (!has_file || std::max<std::uint64_t>(size_, expected_) <= options.in_memory) return false;
    BERTH_TRYV(to_file());
    return in_file_;
}

Result<void> PayloadBuffer::to_file() {
    descriptor_ = nameless_file(memory_->options().folder);
    if (descriptor_ < 0) {
        no_file_ = true;  // it waits as others do
        return {};
    }
    in_file_ = true;
    memory_->count_file(0, true);
    const auto bytes = std::exchange(bytes_, {});
    size_ = 0;
    BERTH_TRYV(write(bytes));
    memory_->give(*this, std::exchange(counted_, 0));
    return {};
}

Result<void> PayloadBuffer::write(std::string_view part) {
    while (!part.empty()) {
        const auto written = ::write(descriptor_, part.data(), part.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            failed_ = true;
            return fail(Code::io_error, format("a payload of more than {} bytes cannot be put into a file in {}: {}", size_, memory_->options().folder.string(), std::strerror(errno)));
        }
        size_ += static_cast<std::size_t>(written);
        memory_->count_file(written, false);
        part.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> PayloadBuffer::append(std::string_view part) {
    if (in_file_) return write(part);
    bytes_.append(part);
    size_ = bytes_.size();
    return {};
}

std::int64_t PayloadBuffer::read_from(int descriptor, std::size_t room) {
    if (in_file_ || size_ == 0) {
        // A small one does not set memory aside for a large one.
        char buffer[uncounted];
        const auto got = ::read(descriptor, buffer, std::min(room, sizeof buffer));
        if (got > 0 && !append({buffer, static_cast<std::size_t>(got)})) return 0;
        return got;
    }
    std::int64_t got = 0;
    bytes_.resize_and_overwrite(size_ + room, [&](char* data, std::size_t) {
        got = ::read(descriptor, data + size_, room);
        return size_ + static_cast<std::size_t>(std::max<std::int64_t>(got, 0));
    });
    size_ = bytes_.size();
    return got;
}

Result<void> PayloadBuffer::finish() {
    if (in_file_) {
        if (mapped_ != nullptr || size_ == 0) return {};
        auto* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0);
        if (address == MAP_FAILED) return fail(Code::io_error, format("a payload in a file cannot be read: {}", std::strerror(errno)));
        mapped_ = static_cast<char*>(address);
        mapped_size_ = size_;
        ::close(std::exchange(descriptor_, -1));
        return {};
    }
    if (counted_ == 0) return {};
    const auto due = size_ <= uncounted ? 0 : size_;
    memory_->give(*this, counted_ - std::min<std::uint64_t>(counted_, due));
    counted_ = std::min<std::uint64_t>(counted_, due);
    return {};
}

std::string_view PayloadBuffer::text() const noexcept {
    if (in_file_) return mapped_ == nullptr ? std::string_view() : std::string_view(mapped_ + at_, size_);
    return std::string_view(bytes_).substr(at_, size_);
}

void PayloadBuffer::keep(std::size_t at, std::size_t size) noexcept {
    at_ += at;
    size_ = size;
}

void PayloadBuffer::seen(std::size_t end) const noexcept {
    if (mapped_ == nullptr) return;
    const auto last = std::min(at_ + end, mapped_size_) / page * page;
    if (last > 0) ::madvise(mapped_, last, MADV_DONTNEED);
}

Result<void> PayloadBuffer::rewrite(const std::function<std::size_t(std::string_view part, char* to)>& shorten) {
    if (!in_file_) {
        bytes_.resize(shorten(bytes_, bytes_.data()));
        size_ = bytes_.size();
        return {};
    }
    PayloadBuffer shorter(memory_, kind_);
    BERTH_TRYV(shorter.to_file());
    if (!shorter.in_file_) return fail(Code::io_error, format("a file for a large payload cannot be made in {}", memory_->options().folder.string()));
    std::string part(largest_part, '\0');
    for (std::size_t at = 0; at < size_; at += largest_part) {
        const auto length = shorten(text().substr(at, largest_part), part.data());
        BERTH_TRYV(shorter.write(std::string_view(part).substr(0, length)));
        seen(at + largest_part);
    }
    BERTH_TRYV(shorter.finish());
    std::swap(mapped_, shorter.mapped_);
    std::swap(mapped_size_, shorter.mapped_size_);
    at_ = 0;
    size_ = mapped_size_;
    return {};
}

std::string PayloadBuffer::take() {
    if (in_file_) return std::string(text());
    bytes_.resize(at_ + size_);
    if (at_ > 0) bytes_.erase(0, at_);
    at_ = size_ = 0;
    return std::exchange(bytes_, {});
}

std::shared_ptr<PayloadBuffer> PayloadBuffer::share() {
    auto shared = std::make_shared<PayloadBuffer>(memory_, kind_);
    shared->in_file_ = std::exchange(in_file_, false);
    shared->failed_ = failed_;
    shared->counted_ = std::exchange(counted_, 0);
    shared->bytes_ = std::exchange(bytes_, {});
    shared->at_ = std::exchange(at_, 0);
    shared->size_ = std::exchange(size_, 0);
    shared->descriptor_ = std::exchange(descriptor_, -1);
    shared->mapped_ = std::exchange(mapped_, nullptr);
    shared->mapped_size_ = std::exchange(mapped_size_, 0);
    return shared;
}

void PayloadBuffer::clear() noexcept {
    if (mapped_ != nullptr) ::munmap(mapped_, mapped_size_);
    if (descriptor_ >= 0) ::close(descriptor_);
    if (in_file_) memory_->count_file(-static_cast<std::int64_t>(mapped_size_ > 0 ? mapped_size_ : size_), false);
    mapped_ = nullptr;
    mapped_size_ = 0;
    descriptor_ = -1;
    in_file_ = false;
    bytes_ = {};
    at_ = size_ = 0;
    if (counted_ > 0 || beyond_) memory_->give(*this, std::exchange(counted_, 0));
}

}  // namespace berth
