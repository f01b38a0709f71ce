#pragma once

#include <cstdint>

#include "berth/host/providers/files.hpp"

namespace berth::worlds::wasi {

/// Error numbers of WASI preview 1 (wasi_snapshot_preview1.witx), those that Berth returns.
enum class Errno : std::int32_t {
    success = 0, too_big = 1, acces = 2, again = 6, badf = 8, busy = 10, canceled = 11, connaborted = 13, connrefused = 14, connreset = 15, exist = 20, fault = 21, fbig = 22, ilseq = 25, inval = 28, io = 29,
    isdir = 31, loop = 32, mfile = 33, nametoolong = 37, netunreach = 40, nfile = 41, noent = 44, nomem = 48, nospc = 51, nosys = 52, notconn = 53, notdir = 54, notempty = 55, notsock = 57,
    notsup = 58, nxio = 60, overflow = 61, perm = 63, pipe = 64, rofs = 69, spipe = 70, timedout = 73, xdev = 75, notcapable = 76,
};

constexpr Errno to_errno(FileError error) noexcept {
    switch (error) {
        case FileError::denied: return Errno::notcapable;
        case FileError::outside: return Errno::perm;
        case FileError::not_found: return Errno::noent;
        case FileError::exists: return Errno::exist;
        case FileError::not_a_directory: return Errno::notdir;
        case FileError::is_a_directory: return Errno::isdir;
        case FileError::not_empty: return Errno::notempty;
        case FileError::loop: return Errno::loop;
        case FileError::name_too_long: return Errno::nametoolong;
        case FileError::invalid: return Errno::inval;
        case FileError::read_only: return Errno::rofs;
        case FileError::permission: return Errno::acces;
        case FileError::no_space: return Errno::nospc;
        case FileError::too_large: return Errno::fbig;
        case FileError::too_many_open: return Errno::nfile;
        case FileError::cross_device: return Errno::xdev;
        case FileError::busy: return Errno::busy;
        case FileError::not_seekable: return Errno::spipe;
        case FileError::wrong_kind: return Errno::nxio;
        case FileError::io: return Errno::io;
        case FileError::not_supported: return Errno::notsup;
    }
    return Errno::io;
}

template <class T>
constexpr Errno to_errno(const FileResult<T>& result) noexcept { return result ? Errno::success : to_errno(result.error()); }

}  // namespace berth::worlds::wasi
