#pragma once

#include <string>
#include <vector>

#include "berth/app/config.hpp"

namespace berth {

/// What of a configuration is another than before.
struct ConfigChange {
    std::vector<std::string> taken;          // keys that a running server takes over
    std::vector<std::string> needs_restart;  // keys that stay as they were until it is started again
};
ConfigChange config_change(const Config& before, const Config& now);

}  // namespace berth
