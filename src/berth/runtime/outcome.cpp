#include "berth/runtime/outcome.hpp"

namespace berth {

std::string whole_details(const Outcome& outcome) {
    if (outcome.captured.empty()) return outcome.details;
    if (outcome.details.find_first_not_of("{} \t\r\n") == std::string::npos) return "{" + outcome.captured + "}";
    auto details = outcome.details;
    return details.insert(details.rfind('}'), "," + outcome.captured);
}

}  // namespace berth
