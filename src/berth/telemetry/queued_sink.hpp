#pragma once

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

/// Writes lines to a file or descriptor on a thread of its own, one write a line, in order: who logs never waits for a
/// disk or a full pipe. When `most` lines wait already, or a write fails, the line is dropped and counted. Any thread.
class QueuedSink {
public:
    /// Appends to a file, which is made when it is not there (mode 0640). Fails with cannot_create.
    static Result<std::unique_ptr<QueuedSink>> to_file(std::filesystem::path file, Counter& dropped, std::size_t most = 8'192);
    /// To a descriptor of the caller's, which stays open.
    static std::unique_ptr<QueuedSink> to_descriptor(int descriptor, Counter& dropped, std::size_t most = 8'192);
    /// Writes what waits.
    ~QueuedSink();
    QueuedSink(const QueuedSink&) = delete;
    QueuedSink& operator=(const QueuedSink&) = delete;

    /// One whole line, its line end included.
    void put(std::string line);
    /// Opens the file anew, for those who have moved it away; what waits goes to the new one. Stays with the old one when
    /// that fails. Nothing for a descriptor.
    Result<void> reopen();

private:
    QueuedSink(std::filesystem::path file, int descriptor, Counter& dropped, std::size_t most);
    void work();

    const std::filesystem::path file_;  // empty: a descriptor of the caller's
    Counter& dropped_;
    const std::size_t most_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::string> waiting_;  // guarded by mutex_
    bool stopping_ = false;             // guarded by mutex_
    std::mutex descriptor_mutex_;       // held for one write, and to change the descriptor
    int descriptor_;                    // guarded by descriptor_mutex_
    std::thread thread_;
};

}  // namespace berth
