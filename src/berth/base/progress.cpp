#include "berth/base/progress.hpp"

namespace berth {
namespace {

class NoProgress final : public Progress {
public:
    void begin(std::string_view, std::uint64_t) override {}
    void advance(std::uint64_t) override {}
    void end() override {}
    bool stop_requested() const noexcept override { return false; }
};

}  // namespace

Progress& no_progress() noexcept {
    static NoProgress instance;
    return instance;
}

}  // namespace berth
