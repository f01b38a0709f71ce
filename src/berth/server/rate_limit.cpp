#include "berth/server/rate_limit.hpp"

#include <algorithm>
#include <cmath>

namespace berth {

RateLimit::RateLimit(double per_second, double burst, std::size_t most_keys) : per_second_(per_second), burst_(std::max(1.0, burst)), most_(std::max<std::size_t>(1, most_keys / std::tuple_size_v<decltype(shards_)>)) {}

RateLimit::Answer RateLimit::take(std::string_view key, SteadyTime now) {
    auto& shard = shards_[std::hash<std::string_view>()(key) % shards_.size()];
    const std::lock_guard lock(shard.mutex);
    auto found = shard.buckets.find(key);
    if (found == shard.buckets.end()) {
        if (shard.buckets.size() >= most_) {
            shard.buckets.erase(shard.by_use.back().key);
            shard.by_use.pop_back();
        }
        shard.by_use.push_front({std::string(key), burst_, now});
        found = shard.buckets.emplace(shard.by_use.front().key, shard.by_use.begin()).first;
    } else if (found->second != shard.by_use.begin()) {
        shard.by_use.splice(shard.by_use.begin(), shard.by_use, found->second);
    }
    auto& bucket = *found->second;
    if (now > bucket.filled) {
        bucket.tokens = std::min(burst_, bucket.tokens + std::chrono::duration<double>(now - bucket.filled).count() * per_second_);
        bucket.filled = now;
    }
    const auto rounded_up = [](double seconds) { return std::chrono::seconds(static_cast<std::int64_t>(std::ceil(seconds - 1e-9))); };
    Answer answer;
    answer.admitted = bucket.tokens >= 1.0 - 1e-9;
    if (answer.admitted) bucket.tokens -= 1.0;
    else answer.retry_after = std::max(std::chrono::seconds(1), rounded_up((1.0 - bucket.tokens) / per_second_));
    answer.reset = rounded_up((burst_ - bucket.tokens) / per_second_);
    return answer;
}

std::size_t RateLimit::keys() const {
    std::size_t count = 0;
    for (const auto& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        count += shard.buckets.size();
    }
    return count;
}

}  // namespace berth
