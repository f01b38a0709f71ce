// A client that sends at a fixed rate, whatever the answers do: latency is counted from the moment a request was due. After so
// many seconds and 20 more it gives up; what is not answered by then counts as it stands.
//
//   open_loop PORT PATH RATE SECONDS            prints `row p50-us`, `p99-us`, `max-us`, `answered`, `failed`
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>

#include "bench/rows.hpp"

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

struct Connection {
    int socket = -1;
    Clock::time_point due;
    std::string got;
    bool busy = false;
};

/// Whether `text` is one whole answer.
bool is_whole(std::string_view text) {
    const auto head = text.find("\r\n\r\n");
    if (head == std::string_view::npos) return false;
    const auto at = text.substr(0, head).find("ontent-length: ");
    const auto upper = text.substr(0, head).find("ontent-Length: ");
    const auto length = at != std::string_view::npos ? at : upper;
    if (length != std::string_view::npos) return text.size() - head - 4 >= std::strtoull(text.data() + length + 15, nullptr, 10);
    return text.ends_with("0\r\n\r\n");
}

int connect_to(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket < 0 || ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("connect");
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return socket;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: open_loop PORT PATH RATE SECONDS\n");
        return 2;
    }
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    const std::string request = std::string("POST ") + argv[2] + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    const double rate = std::atof(argv[3]);
    const auto count = static_cast<std::size_t>(rate * std::atof(argv[4]));
    std::vector<Connection> connections(64);
    const int poll = ::epoll_create1(0);
    std::vector<Connection*> idle;
    const auto connect = [&](Connection& connection) {
        connection.socket = connect_to(port);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &connection;
        if (::epoll_ctl(poll, EPOLL_CTL_ADD, connection.socket, &event) != 0) die("epoll");
    };
    for (auto& connection : connections) {
        connect(connection);
        idle.push_back(&connection);
    }
    std::deque<Clock::time_point> waiting;
    std::vector<double> latencies;
    latencies.reserve(count);
    std::size_t sent = 0;
    std::size_t failed = 0;
    const auto begin = Clock::now();
    const auto give_up = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::atof(argv[4]) + 20));
    const auto due_of = [&](std::size_t i) { return begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(static_cast<double>(i) / rate)); };
    while (latencies.size() + failed < count && Clock::now() < give_up) {
        const auto now = Clock::now();
        while (sent < count && due_of(sent) <= now) waiting.push_back(due_of(sent++));
        while (!waiting.empty() && !idle.empty()) {
            auto& connection = *idle.back();
            idle.pop_back();
            connection.due = waiting.front();
            waiting.pop_front();
            connection.busy = true;
            connection.got.clear();
            // A connection that the server has just closed says so when it is read.
            if (::send(connection.socket, request.data(), request.size(), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET) die("send");
        }
        epoll_event events[64];
        // Never sleeps: it has the processor for itself, and a sleep would be counted as the server's time.
        const int ready = ::epoll_wait(poll, events, 64, 0);
        for (int i = 0; i < ready; ++i) {
            auto& connection = *static_cast<Connection*>(events[i].data.ptr);
            char buffer[4096];
            const auto got = ::recv(connection.socket, buffer, sizeof buffer, 0);
            if (got <= 0) {
                // A server may close a connection after so many requests: what was sent into that is sent again.
                ::close(connection.socket);
                connect(connection);
                if (connection.busy) {
                    if (!connection.got.empty()) ++failed;
                    else waiting.push_front(connection.due);
                    connection.busy = false;
                    idle.push_back(&connection);
                }
                continue;
            }
            connection.got.append(buffer, static_cast<std::size_t>(got));
            if (!connection.busy || !is_whole(connection.got)) continue;
            connection.busy = false;
            if (connection.got.starts_with("HTTP/1.1 200")) {
                latencies.push_back(std::chrono::duration<double, std::micro>(Clock::now() - connection.due).count());
            } else {
                ++failed;
            }
            idle.push_back(&connection);
        }
    }
    if (latencies.empty()) die("no request was answered");
    // What was not answered until now took at least so long.
    const auto unanswered = count - latencies.size() - failed;
    for (std::size_t i = 0; i < unanswered; ++i) latencies.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    std::ranges::sort(latencies);
    berth::bench::row("p50-us", latencies[latencies.size() / 2]);
    berth::bench::row("p99-us", latencies[latencies.size() * 99 / 100]);
    berth::bench::row("max-us", latencies.back());
    berth::bench::row("answered", static_cast<double>(latencies.size() - unanswered));
    berth::bench::row("failed", static_cast<double>(failed));
    return 0;
}
