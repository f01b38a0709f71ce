#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace berth::test {

/// One accepted connection of a TestServer, plain or TLS. Blocking.
class TestPeer {
public:
    TestPeer(int descriptor, SSL* tls) : descriptor_(descriptor), tls_(tls) {}
    ~TestPeer() {
        if (tls_ != nullptr) {
            SSL_shutdown(tls_);
            SSL_free(tls_);
        }
        ::close(descriptor_);
    }
    TestPeer(const TestPeer&) = delete;
    TestPeer& operator=(const TestPeer&) = delete;

    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = tls_ != nullptr ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())) : ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    /// The next head with its empty line; empty when the other side has closed.
    std::string head() {
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (!fill()) return {};
        }
        auto head = buffer_.substr(0, end + 4);
        buffer_.erase(0, end + 4);
        return head;
    }
    std::string bytes(std::size_t count) {
        while (buffer_.size() < count && fill()) {}
        auto part = buffer_.substr(0, count);
        buffer_.erase(0, part.size());
        return part;
    }
    /// Everything up to `mark`, with it.
    std::string until(std::string_view mark) {
        std::size_t at = 0;
        while ((at = buffer_.find(mark)) == std::string::npos) {
            if (!fill()) return {};
        }
        return bytes(at + mark.size());
    }
    /// Blocks until the other side closes; true when nothing more came.
    bool closed() { return buffer_.empty() && !fill(); }

private:
    bool fill() {
        char part[16384];
        const auto got = tls_ != nullptr ? SSL_read(tls_, part, sizeof part) : ::recv(descriptor_, part, sizeof part, 0);
        if (got <= 0) return false;
        buffer_.append(part, static_cast<std::size_t>(got));
        return true;
    }

    int descriptor_;
    SSL* tls_;
    std::string buffer_;
};

/// A server on the loopback that answers each connection with what a test says, on a thread of its own.
class TestServer {
public:
    using Serve = std::function<void(TestPeer&)>;

    explicit TestServer(Serve serve, SSL_CTX* tls = nullptr) : serve_(std::move(serve)), tls_(tls), listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::listen(listening_, 64);
        socklen_t size = sizeof address;
        ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        accepting_ = std::thread([this] { accept(); });
    }
    ~TestServer() {
        ::shutdown(listening_, SHUT_RDWR);
        accepting_.join();
        {
            const std::lock_guard lock(mutex_);
            for (const int open : open_) ::shutdown(open, SHUT_RDWR);
        }
        for (auto& thread : threads_) thread.join();
        ::close(listening_);
    }
    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    int connections() const noexcept { return connections_.load(); }

private:
    void accept() {
        while (true) {
            const int descriptor = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
            if (descriptor < 0) return;
            ++connections_;
            const std::lock_guard lock(mutex_);
            open_.push_back(descriptor);
            threads_.emplace_back([this, descriptor] { run(descriptor); });
        }
    }
    void run(int descriptor) {
        {
            // OpenSSL writes without saying that a closed connection is no reason for a signal.
            sigset_t pipe;
            sigemptyset(&pipe);
            sigaddset(&pipe, SIGPIPE);
            pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
            SSL* tls = nullptr;
            if (tls_ != nullptr) {
                tls = SSL_new(tls_);
                SSL_set_fd(tls, descriptor);
            }
            TestPeer peer(descriptor, tls);
            if (tls == nullptr || SSL_accept(tls) == 1) serve_(peer);
            const std::lock_guard lock(mutex_);
            open_.remove(descriptor);
        }
    }

    Serve serve_;
    SSL_CTX* tls_;
    int listening_;
    std::uint16_t port_ = 0;
    std::atomic<int> connections_{0};
    std::mutex mutex_;
    std::list<int> open_;             // guarded by mutex_
    std::list<std::thread> threads_;  // grown by the accepting thread
    std::thread accepting_;
};

}  // namespace berth::test
