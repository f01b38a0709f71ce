#include "berth/server/metrics_page.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include "berth/base/format.hpp"
#include "berth/server/accept.hpp"

namespace berth {

namespace {

constexpr std::string_view open_metrics_type = "application/openmetrics-text";

std::size_t open_descriptors() {
    std::size_t count = 0;
    if (auto* folder = ::opendir("/proc/self/fd")) {
        while (const auto* entry = ::readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
        ::closedir(folder);
    }
    return count > 0 ? count - 1 : 0;  // without the folder itself
}

/// Pages in all and resident, as the kernel counts them.
std::pair<std::uint64_t, std::uint64_t> memory_pages() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t all = 0, resident = 0;
    file >> all >> resident;
    return {all, resident};
}

/// The registry's text in OpenMetrics form: there a family of counters is called by its name without the suffix that its
/// samples have. Every counter of the registry has that suffix.
std::string open_metrics(std::string_view prometheus) {
    constexpr std::string_view total = "_total";
    std::string out;
    out.reserve(prometheus.size());
    std::string_view help;  // of the family whose type comes next
    while (!prometheus.empty()) {
        const auto line = prometheus.substr(0, prometheus.find('\n') + 1);
        prometheus.remove_prefix(line.size());
        if (line.starts_with("# HELP ")) {
            help = line;
        } else if (line.starts_with("# TYPE ")) {
            const auto name = line.substr(7, line.find(' ', 7) - 7);
            const auto base = line.ends_with(" counter\n") && name.ends_with(total) ? name.substr(0, name.size() - total.size()) : name;
            out.append("# HELP ").append(base).append(help.substr(7 + name.size())).append("# TYPE ").append(base).append(line.substr(7 + name.size()));
        } else {
            out.append(line);
        }
    }
    return out;
}

void add(std::string& out, MetricsForm form, std::string_view name, std::string_view type, std::string_view help, std::string_view value, std::string_view labels = {}) {
    const auto family = form == MetricsForm::open_metrics && type == "counter" ? name.substr(0, name.size() - std::string_view("_total").size()) : name;
    out += format("# HELP {} {}\n# TYPE {} {}\n{}{} {}\n", family, help, family, type, name, labels, value);
}

}  // namespace

std::string_view media_type(MetricsForm form) noexcept {
    return form == MetricsForm::open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
}

MetricsForm metrics_form(std::string_view accept) noexcept {
    if (!names_media(accept, open_metrics_type)) return MetricsForm::prometheus;
    return media_quality(accept, open_metrics_type) >= media_quality(accept, "text/plain") ? MetricsForm::open_metrics : MetricsForm::prometheus;
}

MetricsPage::MetricsPage(const MetricRegistry& registry, std::string version, std::string engine)
    : registry_(registry), version_(std::move(version)), engine_(std::move(engine)), started_(std::chrono::steady_clock::now()) {}

std::string MetricsPage::text(MetricsForm form) const {
    std::string out;
    add(out, form, "berth_build_info", "gauge", "Always 1; the labels say what runs.", "1", format("{{version=\"{}\",engine=\"wasmtime {}\"}}", version_, engine_));
    const std::chrono::duration<double> up = std::chrono::steady_clock::now() - started_;
    add(out, form, "berth_uptime_seconds", "gauge", "Since the server was started.", format("{:.3f}", up.count()));
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
    add(out, form, "process_cpu_seconds_total", "counter", "Processor time of this process.", format("{:.6f}", seconds(used.ru_utime) + seconds(used.ru_stime)));
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const auto [all, resident] = memory_pages();
    add(out, form, "process_virtual_memory_bytes", "gauge", "Address space of this process.", std::to_string(all * page));
    add(out, form, "process_resident_memory_bytes", "gauge", "Resident memory of this process.", std::to_string(resident * page));
    add(out, form, "process_open_fds", "gauge", "Open descriptors.", std::to_string(open_descriptors()));
    rlimit most{};
    ::getrlimit(RLIMIT_NOFILE, &most);
    add(out, form, "process_max_fds", "gauge", "Most descriptors that may be open.", std::to_string(most.rlim_cur));
    out += form == MetricsForm::open_metrics ? open_metrics(registry_.prometheus_text()) + "# EOF\n" : registry_.prometheus_text();
    return out;
}

}  // namespace berth
