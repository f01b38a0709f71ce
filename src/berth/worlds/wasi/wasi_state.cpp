#include "berth/worlds/wasi/wasi_state.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/engine/call_record.hpp"

namespace berth::worlds::wasi {
namespace {

constexpr std::uint64_t bit(Capability capability) noexcept { return std::uint64_t{1} << static_cast<unsigned>(capability); }
constexpr std::uint64_t file_capabilities = bit(Capability::fs_read) | bit(Capability::fs_write) | bit(Capability::fs_delete);

}  // namespace

WasiState::WasiState(Setup setup) : setup_(std::move(setup)), max_descriptors_(std::min<std::uint64_t>((*setup_.limits)[Limit::handles], 65'536)) {
    descriptors_.resize(3);
    constexpr std::uint64_t stream = rights::fd_fdstat_set_flags | rights::fd_filestat_get | rights::poll_fd_readwrite;
    descriptors_[0].kind = Descriptor::Kind::input;
    descriptors_[0].rights_base = stream | rights::fd_read;
    descriptors_[1].kind = Descriptor::Kind::output;
    descriptors_[1].rights_base = stream | rights::fd_write;
    descriptors_[2].kind = Descriptor::Kind::error;
    descriptors_[2].rights_base = stream | rights::fd_write;
}

void WasiState::add_preopen(std::string name, std::unique_ptr<Directory> directory) {
    Descriptor descriptor;
    descriptor.kind = Descriptor::Kind::directory;
    descriptor.directory = std::move(directory);
    descriptor.rights_base = rights::directory;
    descriptor.rights_inheriting = rights::all;
    descriptor.preopen = std::move(name);
    descriptor.opened_under = file_capabilities;
    descriptors_.push_back(std::move(descriptor));
}

void WasiState::add_listener(std::string address, std::unique_ptr<TcpSocket> socket) {
    Descriptor descriptor;
    descriptor.kind = Descriptor::Kind::socket;
    descriptor.socket = std::move(socket);
    descriptor.listens = true;
    descriptor.address = std::move(address);
    descriptor.rights_base = rights::listener;
    descriptor.rights_inheriting = rights::connection;
    descriptor.opened_under = bit(Capability::net_listen);
    descriptors_.push_back(std::move(descriptor));
}

void SocketWaker::wake() noexcept {
    const std::lock_guard lock(mutex_);
    if (record_ != nullptr) record_->wake();
}

void SocketWaker::set(CallRecord* record) noexcept {
    const std::lock_guard lock(mutex_);
    record_ = record;
}

Descriptor* WasiState::descriptor(std::uint32_t fd) noexcept {
    if (fd >= descriptors_.size()) return nullptr;
    const auto kind = descriptors_[fd].kind;
    return kind == Descriptor::Kind::closed || kind == Descriptor::Kind::revoked || kind == Descriptor::Kind::lost ? nullptr : &descriptors_[fd];
}

Errno WasiState::missing(HostCall& call, std::uint32_t fd) const {
    if (fd >= descriptors_.size()) return Errno::badf;
    if (descriptors_[fd].kind == Descriptor::Kind::lost) {
        call.trap(Error(Code::host_restarted, format("the host ended while the call ran, and what was open as descriptor {} ended with it; the call cannot go on", fd)));
        return Errno::io;
    }
    return descriptors_[fd].kind == Descriptor::Kind::revoked ? Errno::notcapable : Errno::badf;
}

void WasiState::lose(std::uint32_t fd) {
    if (fd >= max_descriptors_) return;
    if (fd >= descriptors_.size()) descriptors_.resize(std::size_t{fd} + 1);
    close(descriptors_[fd]);
    descriptors_[fd].kind = Descriptor::Kind::lost;
}

bool WasiState::forget(std::uint32_t fd) noexcept {
    if (fd >= descriptors_.size() || (descriptors_[fd].kind != Descriptor::Kind::revoked && descriptors_[fd].kind != Descriptor::Kind::lost)) return false;
    descriptors_[fd].kind = Descriptor::Kind::closed;
    return true;
}

void WasiState::revoke(std::uint64_t capabilities) noexcept {
    for (auto& descriptor : descriptors_) {
        if ((descriptor.opened_under & capabilities) == 0) continue;
        if (!descriptor.preopen.empty() && (descriptor.opened_under &= ~capabilities) != 0) continue;
        close(descriptor);
        descriptor.kind = Descriptor::Kind::revoked;
    }
}

std::optional<std::uint32_t> WasiState::add(Descriptor descriptor) {
    for (std::size_t fd = 0; fd < descriptors_.size(); ++fd) {
        if (descriptors_[fd].kind == Descriptor::Kind::closed) {
            descriptors_[fd] = std::move(descriptor);
            return static_cast<std::uint32_t>(fd);
        }
    }
    if (descriptors_.size() >= max_descriptors_) return std::nullopt;
    descriptors_.push_back(std::move(descriptor));
    return static_cast<std::uint32_t>(descriptors_.size() - 1);
}

void WasiState::close(Descriptor& descriptor) noexcept {
    setup_.account->release(descriptor.listing_bytes);
    descriptor = Descriptor{};
}

bool WasiState::hold(HostCall& call, std::uint64_t bytes) {
    if (setup_.account->hold(bytes)) return true;
    const auto limit = setup_.account->exceeded == MemoryAccount::Exceeded::total_memory ? Limit::total_memory : Limit::host_memory;
    call.trap(over_limit(limit, (*setup_.limits)[limit]));
    return false;
}

}  // namespace berth::worlds::wasi
