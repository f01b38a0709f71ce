#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

struct ClientAnswer {
    int status = 0;
    std::string body;
};

/// One request to a host that runs, and its whole answer. Blocks for at most `seconds` without progress. Plain HTTP only:
/// verbs talk to hosts on this machine or behind a tunnel.
Result<ClientAnswer> request(std::string_view url, std::string_view method, std::string_view body, const std::vector<std::pair<std::string, std::string>>& fields = {}, int seconds = 3600);

}  // namespace berth
