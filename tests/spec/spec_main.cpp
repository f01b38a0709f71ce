// berth_spec FOLDER [FILTER]: runs the converted specification tests; exit status 0 when nothing failed.
#include <algorithm>
#include <cstdio>
#include <map>

#include "berth/base/format.hpp"
#include "spec/spec_runner.hpp"

int main(int count, char** arguments) {
    using namespace berth;
    if (count < 2) {
        std::fprintf(stderr, "usage: berth_spec FOLDER [FILTER]\n");
        return 2;
    }
    const std::filesystem::path folder = arguments[1];
    const std::string filter = count > 2 ? arguments[2] : "";
    std::vector<std::filesystem::path> lists;
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error)) {
        if (entry.path().extension() == ".list" && entry.path().string().find(filter) != std::string::npos) lists.push_back(entry.path());
    }
    if (lists.empty()) {
        std::fprintf(stderr, "no converted tests below %s\n", folder.c_str());
        return 66;
    }
    std::ranges::sort(lists);
    auto runner = spec::Runner::create();
    if (!runner) {
        std::fprintf(stderr, "%s\n", runner.error().full_message().c_str());
        return 70;
    }
    std::map<std::string, std::vector<std::string>> skipped;
    std::size_t run = 0;
    bool broken = false;
    for (const auto& list : lists) {
        const auto proposal = (*runner)->run(list);
        const auto name = format("{}/{}", list.parent_path().filename().string(), list.stem().string());
        if (!proposal) {
            std::printf("FAILED %s: %s\n", name.c_str(), proposal.error().full_message().c_str());
            broken = true;
        } else if (!proposal->empty()) {
            skipped[*proposal].push_back(name);
        } else {
            ++run;
        }
    }
    const auto& counts = (*runner)->counts();
    std::printf("%zu files run in %zu ways; fuel equal in %llu invocations; %llu assertions about the text format alone\n", run, spec::lane_count,
                static_cast<unsigned long long>(counts.fuel_compared), static_cast<unsigned long long>(counts.text));
    for (const auto& [proposal, files] : skipped) {
        std::printf("  skipped, %s: %zu files:", proposal.c_str(), files.size());
        for (const auto& file : files) std::printf(" %s", file.c_str());
        std::printf("\n");
    }
    std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(counts.passed),
                static_cast<unsigned long long>(counts.failed + (broken ? 1 : 0)));
    return counts.failed == 0 && !broken ? 0 : 1;
}
