#include "berth/telemetry/queued_sink.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "berth/base/format.hpp"

namespace berth {

namespace {

Result<int> opened(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    if (descriptor < 0) return fail(Code::cannot_create, format("{} cannot be opened for writing: {}", file.string(), std::system_category().message(errno)));
    return descriptor;
}

bool written(int descriptor, std::string_view line) {
    while (!line.empty()) {
        const auto count = ::write(descriptor, line.data(), line.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        line.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace

QueuedSink::QueuedSink(std::filesystem::path file, int descriptor, Counter& dropped, std::size_t most)
    : file_(std::move(file)), dropped_(dropped), most_(most), descriptor_(descriptor), thread_([this] { work(); }) {}

Result<std::unique_ptr<QueuedSink>> QueuedSink::to_file(std::filesystem::path file, Counter& dropped, std::size_t most) {
    BERTH_TRY(const int descriptor, opened(file));
    return std::unique_ptr<QueuedSink>(new QueuedSink(std::move(file), descriptor, dropped, most));
}

std::unique_ptr<QueuedSink> QueuedSink::to_descriptor(int descriptor, Counter& dropped, std::size_t most) {
    return std::unique_ptr<QueuedSink>(new QueuedSink({}, descriptor, dropped, most));
}

QueuedSink::~QueuedSink() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
    if (!file_.empty()) ::close(descriptor_);
}

void QueuedSink::put(std::string line) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= most_) {
            dropped_.add();
            return;
        }
        first = waiting_.empty();
        waiting_.push_back(std::move(line));
    }
    if (first) wake_.notify_one();
}

Result<void> QueuedSink::reopen() {
    if (file_.empty()) return {};
    BERTH_TRY(const int fresh, opened(file_));
    const std::lock_guard lock(descriptor_mutex_);
    ::close(std::exchange(descriptor_, fresh));
    return {};
}

void QueuedSink::work() {
    sigset_t pipe;  // a reader that has gone is a line dropped, not the end of the process
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    std::vector<std::string> lines;
    while (true) {
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            lines.swap(waiting_);
        }
        for (const auto& line : lines) {
            const std::lock_guard lock(descriptor_mutex_);
            if (!written(descriptor_, line)) dropped_.add();
        }
        lines.clear();
    }
}

}  // namespace berth
