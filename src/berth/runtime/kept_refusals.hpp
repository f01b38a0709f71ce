#pragma once

#include <cstddef>
#include <mutex>

#include "berth/host/gate.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// Keeps what one call is refused, each kind once, and passes every refusal on. A guest decides how many kinds there are and
/// how long their scopes: what is over the bounds is only counted as cut. Any thread.
class KeptRefusals final : public DenialListener {
public:
    static constexpr std::size_t most_kinds = 16;
    static constexpr std::size_t most_bytes = 8 << 10;  // of all texts together

    /// `next` outlives it.
    explicit KeptRefusals(DenialListener& next) : next_(next) {}

    void denied(std::string_view world, std::string_view function, const Denial& denial) override;
    /// What was kept; called once.
    Refusals take();

private:
    void keep(std::string_view world, std::string_view function, const Denial& denial);

    DenialListener& next_;
    std::mutex mutex_;
    Refusals kept_;          // guarded by mutex_, as is the next
    std::size_t bytes_ = 0;  // of the texts in kept_
};

}  // namespace berth
