#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::test {

/// One answer as it came.
struct RawAnswer {
    int status = 0;
    std::string head;
    std::string body;

    std::string field(std::string_view name) const {
        const auto at = head.find(std::string("\r\n").append(name).append(": "));
        if (at == std::string::npos) return {};
        const auto start = at + name.size() + 4;
        return head.substr(start, head.find("\r\n", start) - start);
    }
};

/// A blocking client that sends exactly the bytes it is told to.
class RawClient {
public:
    explicit RawClient(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    ~RawClient() { ::close(descriptor_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool connected() const noexcept { return connected_; }
    /// False when the server no longer took them.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    int descriptor() const noexcept { return descriptor_; }
    /// Forgets what has arrived.
    void drop() noexcept { buffer_.clear(); }
    void end_sending() { ::shutdown(descriptor_, SHUT_WR); }

    /// The next answer; nothing when the server closed instead. `head_only` for answers to HEAD.
    std::optional<RawAnswer> answer(bool head_only = false) {
        RawAnswer answer;
        std::size_t end = 0;
        while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
            if (!fill()) return {};
        }
        answer.head = buffer_.substr(0, end + 2);
        buffer_.erase(0, end + 4);
        std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
        std::size_t length = 0;
        const auto text = answer.field("Content-Length");
        std::from_chars(text.data(), text.data() + text.size(), length);
        if (head_only || answer.status / 100 == 1) length = 0;
        while (buffer_.size() < length) {
            if (!fill()) return {};
        }
        answer.body = buffer_.substr(0, length);
        buffer_.erase(0, length);
        return answer;
    }
    /// Whether the server has closed the connection; blocks until it does or sends something.
    bool closed() { return buffer_.empty() && !fill(); }

private:
    bool fill() {
        char part[65536];
        const auto got = ::recv(descriptor_, part, sizeof part, 0);
        if (got <= 0) return false;
        buffer_.append(part, static_cast<std::size_t>(got));
        return true;
    }

    int descriptor_;
    bool connected_ = false;
    std::string buffer_;
};

}  // namespace berth::test
