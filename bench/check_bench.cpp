// What it costs to ask whether a grant covers something, hits and misses. No check may allocate. Origins are not here: an
// address is taken apart once for each request, which sends bytes over a network.
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "bench/rows.hpp"
#include "berth/capability/grant_set.hpp"
#include "berth/capability/policy_file.hpp"

namespace {
std::atomic<std::uint64_t> allocations{0};
}

void* operator new(std::size_t size) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace berth {
namespace {

constexpr std::string_view written = R"(policy: 1
grants:
  time.now: {}
  fs.read: {paths: ["data/**", "config/*.json", "share/words/**"]}
  env.read: {names: [HOME, LANG, TZ, PATH]}
  net.connect: {hosts: ["db.example:5432", "cache.example", "*.queue.example:5672"]}
)";

struct Asked {
    const char* name;
    Capability capability;
    std::string value;
    bool granted;
};

int run() {
    const auto policy = parse_policies(written, "bench.yaml");
    if (!policy || policy->size() != 1) std::abort();
    const std::array wanted{AskedCapability{Capability::time_now, ""}, AskedCapability{Capability::fs_read, ""}, AskedCapability{Capability::env_read, ""}, AskedCapability{Capability::net_connect, ""}};
    const auto grants = GrantSet::resolve(wanted, &policy->front(), Missing::deny_at_call);
    if (!grants) std::abort();
    const Asked asked[] = {{"clock", Capability::time_now, "", true},
                           {"file", Capability::fs_read, "share/words/en/list.txt", true},
                           {"file, refused", Capability::fs_read, "secret/list.txt", false},
                           {"variable", Capability::env_read, "PATH", true},
                           {"host", Capability::net_connect, "a.queue.example:5672", true},
                           {"host, refused", Capability::net_connect, "b.example:22", false}};
    constexpr int count = 1'000'000;
    double slowest = 0;
    const auto before = allocations.load();
    for (const auto& each : asked) {
        std::array<double, 7> rounds;
        for (auto& round : rounds) {
            int granted = 0;
            const auto begin = bench::cpu_now();
            for (int i = 0; i < count; ++i) granted += each.value.empty() ? (*grants)->holds(each.capability) : (*grants)->holds(each.capability, each.value);
            round = (bench::cpu_now() - begin) / count;
            if (granted != (each.granted ? count : 0)) std::abort();
        }
        std::ranges::sort(rounds);
        std::printf("%-28s %6.1f ns\n", each.name, rounds[rounds.size() / 2]);
        slowest = std::max(slowest, rounds[rounds.size() / 2]);
    }
    bench::row("check-ns", slowest);
    bench::row("check-allocations", static_cast<double>(allocations.load() - before));
    return 0;
}

}  // namespace
}  // namespace berth

int main() { return berth::run(); }
