#pragma once

#include <cstddef>
#include <cstdint>

#include "berth/host/providers/files.hpp"

namespace berth::worlds::wasi {

// Records of WASI preview 1 as they lie in guest memory (wasi_snapshot_preview1.witx). The host is little-endian
// like WebAssembly, so they are copied as they are.

enum class FileType : std::uint8_t { unknown = 0, block_device = 1, character_device = 2, directory = 3, regular_file = 4, socket_stream = 6, symbolic_link = 7 };

constexpr FileType to_file_type(FileKind kind) noexcept {
    switch (kind) {
        case FileKind::directory: return FileType::directory;
        case FileKind::regular: return FileType::regular_file;
        case FileKind::symbolic_link: return FileType::symbolic_link;
        case FileKind::unknown: break;
    }
    return FileType::unknown;
}

namespace rights {
inline constexpr std::uint64_t fd_datasync = 1u << 0, fd_read = 1u << 1, fd_seek = 1u << 2, fd_fdstat_set_flags = 1u << 3, fd_sync = 1u << 4, fd_tell = 1u << 5,
                               fd_write = 1u << 6, fd_advise = 1u << 7, fd_allocate = 1u << 8, fd_readdir = 1u << 14, fd_filestat_set_size = 1u << 22,
                               poll_fd_readwrite = 1u << 27, fd_filestat_get = 1u << 21, fd_filestat_set_times = 1u << 23, sock_shutdown = 1u << 28, sock_accept = 1u << 29;
inline constexpr std::uint64_t all = (1u << 30) - 1;
/// What a regular file can be used for; the path_* rights are for directories.
inline constexpr std::uint64_t file = fd_datasync | fd_read | fd_seek | fd_fdstat_set_flags | fd_sync | fd_tell | fd_write | fd_advise | fd_allocate | fd_filestat_get |
                                      fd_filestat_set_size | fd_filestat_set_times | poll_fd_readwrite;
inline constexpr std::uint64_t connection = fd_read | fd_write | fd_fdstat_set_flags | fd_filestat_get | poll_fd_readwrite | sock_shutdown;
inline constexpr std::uint64_t listener = fd_read | fd_fdstat_set_flags | fd_filestat_get | poll_fd_readwrite | sock_accept;
inline constexpr std::uint64_t directory = all & ~(fd_read | fd_seek | fd_tell | fd_write | fd_allocate | fd_filestat_set_size);
}  // namespace rights

namespace fdflags {
inline constexpr std::uint16_t append = 1, dsync = 2, nonblock = 4, rsync = 8, sync = 16, all = 31;
}
namespace oflags {
inline constexpr std::uint32_t creat = 1, directory = 2, excl = 4, trunc = 8, all = 15;
}
namespace fstflags {
inline constexpr std::uint32_t atim = 1, atim_now = 2, mtim = 4, mtim_now = 8, all = 15;
}
inline constexpr std::uint32_t lookup_symlink_follow = 1;

struct Fdstat {
    std::uint8_t file_type;
    std::uint8_t padding = 0;
    std::uint16_t flags;
    std::uint32_t padding2 = 0;
    std::uint64_t rights_base;
    std::uint64_t rights_inheriting;
};
static_assert(sizeof(Fdstat) == 24);

struct Filestat {
    std::uint64_t device;
    std::uint64_t inode;
    std::uint64_t file_type;  // one byte and padding
    std::uint64_t links;
    std::uint64_t size;
    std::uint64_t accessed;
    std::uint64_t modified;
    std::uint64_t changed;
};
static_assert(sizeof(Filestat) == 64);

struct Prestat {
    std::uint32_t tag;  // 0: a directory
    std::uint32_t name_length;
};
static_assert(sizeof(Prestat) == 8);

struct Dirent {
    std::uint64_t next;
    std::uint64_t inode;
    std::uint32_t name_length;
    std::uint32_t file_type;  // one byte and padding
};
static_assert(sizeof(Dirent) == 24);

struct Subscription {
    std::uint64_t user_data;
    std::uint8_t tag;  // 0 clock, 1 fd_read, 2 fd_write
    std::uint8_t padding[7];
    std::uint32_t clock_or_fd;
    std::uint32_t padding2;
    std::uint64_t timeout;
    std::uint64_t precision;
    std::uint16_t clock_flags;  // 1: absolute
    std::uint16_t padding3[3];
};
static_assert(sizeof(Subscription) == 48);

struct Event {
    std::uint64_t user_data;
    std::uint16_t error;
    std::uint8_t type;
    std::uint8_t padding[5];
    std::uint64_t bytes;
    std::uint16_t flags;
    std::uint16_t padding2[3];
};
static_assert(sizeof(Event) == 32);

}  // namespace berth::worlds::wasi
