#include <sys/mman.h>
#include <unistd.h>

#include "berth/app/config.hpp"
#include "berth/base/format.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// The input is a project's configuration file. What it gives a key is what the command line may give it.
int config_file(ByteView input) {
    const int file = ::memfd_create("berth.yaml", MFD_CLOEXEC);
    BERTH_ASSERT(file >= 0 && ::write(file, input.data(), input.size()) == static_cast<ssize_t>(input.size()));
    ConfigInput from_file;
    from_file.project_file = format("/proc/self/fd/{}", file);
    const auto read = Config::load(from_file);
    ::close(file);
    if (!read) {
        BERTH_ASSERT(read.error().code() == Code::config_error && !read.error().message().empty());
        return 0;
    }
    ConfigInput from_flags;
    for (const auto& [key, found] : read->keys()) {
        if (found.front().source != "default") from_flags.flags.emplace_back(key, found.front().value);
    }
    const auto again = Config::load(from_flags);
    BERTH_ASSERT(again);
    for (const auto& [key, value] : from_flags.flags) BERTH_ASSERT(again->value(key) == value);
    return 0;
}

}  // namespace berth::fuzz
