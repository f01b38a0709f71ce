#pragma once

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

namespace berth::bench {

/// Processor time of this thread in nanoseconds: what others do on the machine is not in it.
inline double cpu_now() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

inline double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// The median of the ratios round by round: a machine whose speed drifts changes both sides of a pair.
inline double paired(const std::vector<double>& ours, const std::vector<double>& theirs) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) ratios.push_back(ours[i] / theirs[i]);
    return median(ratios);
}

inline double paired_difference(const std::vector<double>& ours, const std::vector<double>& theirs) {
    std::vector<double> differences;
    for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) differences.push_back(ours[i] - theirs[i]);
    return median(differences);
}

/// A line that bench/run.py takes into the record.
inline void row(const char* name, double value) { std::printf("row %s %.6g\n", name, value); }

}  // namespace berth::bench
