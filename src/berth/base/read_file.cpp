#include "berth/base/read_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "berth/base/format.hpp"

namespace berth {
namespace {

struct Open {
    ~Open() {
        if (fd >= 0) ::close(fd);
    }
    int fd;
};

constexpr std::size_t first_part = std::size_t{1} << 16;

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& file, std::uint64_t most, std::string_view bound, ByteView head) {
    const auto too_large = [&](std::string_view size) { return fail(Code::payload_too_large, format("{} has {}; at most {} are read{}{}{}", file.string(), size, most, bound.empty() ? "" : " (", bound, bound.empty() ? "" : ")")); };
    const Open open{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (open.fd < 0) {
        const auto problem = errno;
        return fail(Code::file_not_found, format("{} cannot be read: {}", file.string(), problem == ENOENT ? "there is no such file" : problem == EACCES ? "permission denied" : std::strerror(problem)));
    }
    struct ::stat status{};
    if (::fstat(open.fd, &status) != 0) return fail(Code::io_error, format("{} cannot be read: {}", file.string(), std::strerror(errno)));
    if (S_ISDIR(status.st_mode)) return fail(Code::file_not_found, format("{} is a directory; name a file", file.string()));
    const auto size = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
    if (size > most) return too_large(format("{} bytes", size));

    Bytes bytes;
    std::size_t filled = 0;
    // The known size and one byte more, to see the end; a pipe, or a file that grows meanwhile, comes in parts.
    bytes.resize(static_cast<std::size_t>(std::min(most + 1, std::max<std::uint64_t>(size + 1, first_part))));
    while (true) {
        const auto got = ::read(open.fd, bytes.data() + filled, bytes.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::io_error, format("{} cannot be read to its end: {}", file.string(), std::strerror(errno)));
        if (got == 0) break;
        filled += static_cast<std::size_t>(got);
        if (filled > most) return too_large("more bytes");
        if (filled >= head.size() && !std::equal(head.begin(), head.end(), bytes.begin())) break;
        if (filled == bytes.size()) bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(most + 1, std::uint64_t{2} * filled)));
    }
    bytes.resize(filled);
    return bytes;
}

}  // namespace berth
