#pragma once

#include <cstddef>

namespace berth::detail {

/// Memory of a coroutine's frame. Frames of the usual sizes come from a small stock of the calling thread, whichever
/// thread gave them back; the general allocator takes its slow path for blocks of their size.
void* take_frame(std::size_t size);
void give_frame(void* frame, std::size_t size) noexcept;

}  // namespace berth::detail
