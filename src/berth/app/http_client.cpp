#include "berth/app/http_client.hpp"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <memory>

#include "berth/base/format.hpp"
#include "berth/process/descriptor.hpp"

namespace berth {

namespace {

constexpr std::size_t largest_answer = 512U << 20;

std::unexpected<Error> broken(std::string_view url, std::string_view what) { return fail(Code::upstream, format("{}: {}", url, what)); }

/// The parts of a chunked body put together.
Result<std::string> joined(std::string_view body, std::string_view url) {
    std::string out;
    while (true) {
        const auto end = body.find("\r\n");
        std::size_t size = 0;
        if (end == std::string_view::npos || std::from_chars(body.data(), body.data() + end, size, 16).ec != std::errc() || size > body.size() - end - 2) return broken(url, "the answer is cut off");
        body.remove_prefix(end + 2);
        if (size == 0) return out;
        out.append(body.substr(0, size));
        body.remove_prefix(std::min(body.size(), size + 2));
    }
}

}  // namespace

Result<ClientAnswer> request(std::string_view url, std::string_view method, std::string_view body, const std::vector<std::pair<std::string, std::string>>& fields, int seconds) {
    constexpr std::string_view scheme = "http://";
    if (!url.starts_with(scheme)) return fail(Code::usage, format("\"{}\" is no http:// address", url));
    const auto rest = url.substr(scheme.size());
    const auto authority = std::string(rest.substr(0, rest.find('/')));
    const auto target = rest.find('/') == std::string_view::npos ? std::string("/") : std::string(rest.substr(rest.find('/')));
    const auto bracket = authority.find(']');
    const auto colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
    auto host = authority.substr(0, colon);
    const auto port = colon == std::string::npos ? std::string("80") : authority.substr(colon + 1);
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);

    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return broken(url, "there is no such host");
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
    Descriptor connection;
    for (auto* address = found; address && !connection; address = address->ai_next) {
        Descriptor tried(::socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0));
        const timeval limit{seconds, 0};
        ::setsockopt(tried.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(tried.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (tried && ::connect(tried.get(), address->ai_addr, address->ai_addrlen) == 0) connection = std::move(tried);
    }
    if (!connection) return broken(url, "nobody answers there; start one with berth fn dev");
    auto text = format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", method, target, authority);
    for (const auto& [name, value] : fields) text += format("{}: {}\r\n", name, value);
    if (!body.empty() || method == "POST") text += format("Content-Length: {}\r\n", body.size());
    text += "\r\n";
    text += body;
    for (std::string_view left = text; !left.empty();) {
        const auto sent = ::send(connection.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) return broken(url, "the connection broke");
        left.remove_prefix(static_cast<std::size_t>(sent));
    }
    std::string answer;
    char part[64 * 1024];
    while (true) {
        const auto got = ::recv(connection.get(), part, sizeof part, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        answer.append(part, static_cast<std::size_t>(got));
        if (answer.size() > largest_answer) return broken(url, "the answer is too large");
    }
    const auto head_end = answer.find("\r\n\r\n");
    ClientAnswer made;
    if (!answer.starts_with("HTTP/1.") || head_end == std::string::npos || std::from_chars(answer.data() + 9, answer.data() + answer.size(), made.status).ec != std::errc()) return broken(url, "what answers there is no HTTP server");
    std::string head = answer.substr(0, head_end);
    for (auto& c : head) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    made.body = answer.substr(head_end + 4);
    if (head.find("transfer-encoding: chunked") != std::string::npos) {
        BERTH_TRY(made.body, joined(made.body, url));
    } else if (const auto at = head.find("\r\ncontent-length:"); at != std::string::npos) {
        const auto digits = head.find_first_of("0123456789", at);
        std::size_t size = 0;
        if (digits != std::string::npos) std::from_chars(head.data() + digits, head.data() + head.size(), size);
        if (made.body.size() < size) return broken(url, "the answer is cut off");
    }
    return made;
}

}  // namespace berth
