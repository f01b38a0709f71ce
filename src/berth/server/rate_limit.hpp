#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "berth/base/clock.hpp"

namespace berth {

/// One token bucket a key: `burst` requests at once, `per_second` in the long run. Keys beyond `most_keys` push out those
/// that were used the longest time ago. Any thread.
class RateLimit {
public:
    RateLimit(double per_second, double burst, std::size_t most_keys = 100'000);

    struct Answer {
        bool admitted = true;
        std::chrono::seconds retry_after{0};  // until the next one is admitted, rounded up
        std::chrono::seconds reset{0};        // until the bucket is full again, rounded up
    };
    Answer take(std::string_view key, SteadyTime now);

    std::size_t keys() const;

private:
    struct Bucket {
        std::string key;
        double tokens;
        SteadyTime filled;
    };
    /// Keys by their hash, so that threads seldom wait for each other.
    struct Shard {
        mutable std::mutex mutex;
        std::list<Bucket> by_use;                                                    // guarded by mutex; the newest first
        std::unordered_map<std::string_view, std::list<Bucket>::iterator> buckets;  // guarded by mutex; keys are the list's
    };

    const double per_second_, burst_;
    const std::size_t most_;  // of one shard
    std::array<Shard, 16> shards_;
};

}  // namespace berth
