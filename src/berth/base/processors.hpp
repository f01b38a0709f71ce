#pragma once

namespace berth {

/// Processors that this process may run on, at least 1: those of its affinity mask when it was first asked. Any thread.
unsigned usable_processors() noexcept;

}  // namespace berth
