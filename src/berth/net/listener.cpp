#include "berth/net/listener.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <utility>

#include "berth/base/format.hpp"

namespace berth {

namespace {

/// Socket inodes that listen on the port, from a table of /proc/net.
void listening_inodes(const char* table, std::uint16_t port, std::set<std::string>& inodes) {
    std::ifstream file(table);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        // sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
        std::string words[10];
        std::size_t at = 0;
        for (auto& word : words) {
            at = line.find_first_not_of(' ', at);
            if (at == std::string::npos) break;
            const auto end = line.find(' ', at);
            word = line.substr(at, end - at);
            at = end == std::string::npos ? line.size() : end;
        }
        const auto colon = words[1].rfind(':');
        if (colon == std::string::npos || words[3] != "0A") continue;
        unsigned local = 0;
        std::from_chars(words[1].data() + colon + 1, words[1].data() + words[1].size(), local, 16);
        if (local == port) inodes.insert("socket:[" + words[9] + "]");
    }
}

std::unexpected<Error> cannot(const std::string& address, int problem, std::uint16_t port) {
    std::string text = format("cannot listen on {}: {}", address, std::system_category().message(problem));
    Error error(Code::cannot_bind, "");
    if (problem == EADDRINUSE) {
        const auto holder = port_holder(port);
        text = holder.empty() ? format("cannot listen on {}: the port is in use", address)
                              : format("cannot listen on {}: the port is held by {}", address, holder);
        error = Error(Code::cannot_bind, text);
        error.set_fix("choose another port, or 0 for any free one");
    } else if (problem == EACCES) {
        error = Error(Code::cannot_bind, text);
        error.set_fix("ports below 1024 need a privilege; choose a higher one");
    } else {
        error = Error(Code::cannot_bind, text);
    }
    return std::unexpected<Error>(std::move(error));
}

}  // namespace

std::string port_holder(std::uint16_t port) {
    std::set<std::string> inodes;
    listening_inodes("/proc/net/tcp", port, inodes);
    listening_inodes("/proc/net/tcp6", port, inodes);
    if (inodes.empty()) return {};
    std::error_code ignored;
    for (const auto& process : std::filesystem::directory_iterator("/proc", ignored)) {
        const auto pid = process.path().filename().string();
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        std::error_code denied;
        for (const auto& descriptor : std::filesystem::directory_iterator(process.path() / "fd", denied)) {
            std::error_code gone;
            if (!inodes.contains(std::filesystem::read_symlink(descriptor.path(), gone).string())) continue;
            std::string name;
            std::ifstream(process.path() / "comm") >> name;
            return format("{} (process {})", name.empty() ? "a process" : name, pid);
        }
    }
    return {};
}

Result<Listener> Listener::open(std::string_view host, std::uint16_t port, int backlog) {
    if (host == "localhost") host = "127.0.0.1";
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    const std::string text(host);
    sockaddr_in6 six{};
    sockaddr_in four{};
    Listener listener;
    const sockaddr* address = nullptr;
    socklen_t size = 0;
    if (inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        address = reinterpret_cast<const sockaddr*>(&four);
        size = sizeof four;
    } else if (inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        address = reinterpret_cast<const sockaddr*>(&six);
        size = sizeof six;
    } else {
        return fail(Code::cannot_bind, format("cannot listen on \"{}\": not an IP address; give one such as 127.0.0.1 or ::1", text));
    }
    const auto shown = [&](unsigned number) { return address->sa_family == AF_INET6 ? format("[{}]:{}", text, number) : format("{}:{}", text, number); };
    listener.descriptor_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener.descriptor_ < 0) return cannot(shown(port), errno, port);
    const int on = 1;
    setsockopt(listener.descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener.descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
    if (::bind(listener.descriptor_, address, size) != 0 || ::listen(listener.descriptor_, backlog) != 0) return cannot(shown(port), errno, port);
    sockaddr_in6 bound{};
    socklen_t bound_size = sizeof bound;
    getsockname(listener.descriptor_, reinterpret_cast<sockaddr*>(&bound), &bound_size);
    listener.port_ = ntohs(bound.sin6_port);  // at the same offset in both families
    listener.address_ = shown(listener.port_);
    return listener;
}

Listener::Listener(Listener&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), port_(other.port_), address_(std::move(other.address_)) {}

Listener& Listener::operator=(Listener&& other) noexcept {
    if (this != &other) {
        close();
        descriptor_ = std::exchange(other.descriptor_, -1);
        port_ = other.port_;
        address_ = std::move(other.address_);
    }
    return *this;
}

Listener::~Listener() { close(); }

void Listener::close() noexcept {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

}  // namespace berth
