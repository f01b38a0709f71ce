#pragma once

#include <string>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

/// What is wrong with a configuration, all of it: reading goes on behind a problem with a value that is never used.
class Problems {
public:
    void add(Error error) { all_.push_back(std::move(error)); }
    void add(std::unexpected<Error> error) { all_.push_back(std::move(error).error()); }
    /// The value, or `otherwise` with the error kept.
    template <class T>
    T take(Result<T> result, T otherwise = T()) {
        if (result) return std::move(*result);
        add(std::move(result.error()));
        return otherwise;
    }
    bool take(Result<void> result) {
        if (!result) add(std::move(result.error()));
        return result.has_value();
    }

    const std::vector<Error>& all() const noexcept { return all_; }
    /// Nothing, the only one as it is, or config_error with a line for each.
    Result<void> finish() const {
        if (all_.empty()) return {};
        if (all_.size() == 1) return fail(all_.front());
        std::string lines;
        for (const auto& each : all_) {
            lines += (lines.empty() ? "" : "\n") + each.full_message();
            if (!each.fix().empty()) lines += "; " + each.fix();
        }
        return fail(Code::config_error, std::move(lines));
    }

private:
    std::vector<Error> all_;
};

}  // namespace berth
