#include "berth/base/plain_file.hpp"

#include "berth/base/format.hpp"

namespace berth {

Result<Bytes> read_plain_file(const std::filesystem::path& file, std::uint64_t most, std::string_view bound) {
    std::error_code none;
    const auto& text = file.native();
    const bool handed_over = text.starts_with("/dev/fd/") || text.starts_with("/proc/self/fd/") || text == "/dev/stdin";
    if (!handed_over && std::filesystem::is_fifo(file, none)) return fail(Code::file_not_found, format("{} is a named pipe; name a file", text));
    return read_file(file, most, bound);
}

}  // namespace berth
