#include "berth/net/name_resolver.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include "berth/base/format.hpp"

namespace berth {
namespace {

constexpr std::size_t most_threads = 8;
constexpr std::size_t most_addresses = 16;

Result<std::vector<IpAddress>> look_up(const std::string& host) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int status = getaddrinfo(host.c_str(), nullptr, &hints, &list);
    if (status != 0) return fail(Code::upstream, format("the host {} cannot be found: {}", host, gai_strerror(status)));
    std::vector<IpAddress> addresses;
    for (const auto* each = list; each != nullptr && addresses.size() < most_addresses; each = each->ai_next) {
        std::optional<IpAddress> address;
        if (each->ai_family == AF_INET) {
            std::array<std::uint8_t, 4> bytes;
            std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(each->ai_addr)->sin_addr, bytes.size());
            address = IpAddress::v4(bytes);
        } else if (each->ai_family == AF_INET6) {
            std::array<std::uint8_t, 16> bytes;
            std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(each->ai_addr)->sin6_addr, bytes.size());
            address = IpAddress::v6(bytes);
        }
        if (address && std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) addresses.push_back(*address);
    }
    freeaddrinfo(list);
    if (addresses.empty()) return fail(Code::upstream, format("the host {} has no address", host));
    return addresses;
}

}  // namespace

struct SystemResolver::Queue {
    struct Wanted {
        std::string host;
        Done done;
    };
    std::mutex mutex;
    std::deque<Wanted> waiting;  // guarded by mutex
    std::size_t threads = 0;     // guarded by mutex

    static void run(const std::shared_ptr<Queue>& queue) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, nullptr);
        while (true) {
            Wanted wanted;
            {
                const std::lock_guard lock(queue->mutex);
                if (queue->waiting.empty()) {
                    --queue->threads;
                    return;
                }
                wanted = std::move(queue->waiting.front());
                queue->waiting.pop_front();
            }
            wanted.done(look_up(wanted.host));
        }
    }
};

SystemResolver::SystemResolver() : queue_(std::make_shared<Queue>()) {}

SystemResolver::~SystemResolver() {
    const std::lock_guard lock(queue_->mutex);
    queue_->waiting.clear();
}

void SystemResolver::resolve(std::string host, Done done) {
    std::unique_lock lock(queue_->mutex);
    queue_->waiting.push_back({std::move(host), std::move(done)});
    if (queue_->threads == most_threads) return;
    ++queue_->threads;
    lock.unlock();
    try {
        std::thread([queue = queue_] { Queue::run(queue); }).detach();
    } catch (const std::system_error&) {
        Queue::run(queue_);  // no thread can be had: this one does it
    }
}

}  // namespace berth
