#include "core/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>

namespace millrace {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

// proc(5), /proc/self/stat: the fields after the command's closing bracket, counted as in the
// manual from 3.
struct Stat {
    double cpu_seconds = 0;       // 14 utime, 15 stime
    double threads = 0;           // 20
    double start_after_boot = 0;  // 22
    double virtual_bytes = 0;     // 23
    double resident_bytes = 0;    // 24
};

std::optional<Stat> read_stat() {
    std::ifstream file("/proc/self/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::size_t bracket = text.rfind(')');
    if (bracket == std::string::npos) return std::nullopt;
    std::istringstream rest(text.substr(bracket + 1));
    const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
    if (fields.size() < 22) return std::nullopt;
    const auto field = [&fields](std::size_t number) { return std::stod(fields[number - 3]); };
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    return Stat{(field(14) + field(15)) / ticks, field(20), field(22) / ticks, field(23),
                field(24) * static_cast<double>(sysconf(_SC_PAGESIZE))};
}

std::optional<double> read_boot_time() {
    std::ifstream file("/proc/stat");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("btime ")) return std::stod(line.substr(6));
    }
    return std::nullopt;
}

std::optional<double> count_open_files() {
    std::error_code error;
    std::filesystem::directory_iterator entries("/proc/self/fd", error);
    if (error) return std::nullopt;
    // One of them is the descriptor that lists them.
    return static_cast<double>(std::distance(begin(entries), end(entries))) - 1;
}

MetricFamily family(const char* name, const char* help, MetricType type, double value) {
    prometheus::ClientMetric metric;
    metric.gauge.value = value;
    metric.counter.value = value;
    MetricFamily made;
    made.name = name;
    made.help = help;
    made.type = type;
    made.metric.push_back(metric);
    return made;
}

void add_stat(std::vector<MetricFamily>& families, const Stat& stat) {
    families.push_back(family("process_cpu_seconds_total", "CPU time used, user and system.",
                              MetricType::Counter, stat.cpu_seconds));
    families.push_back(family("process_resident_memory_bytes", "Resident memory.",
                              MetricType::Gauge, stat.resident_bytes));
    families.push_back(family("process_virtual_memory_bytes", "Virtual memory.", MetricType::Gauge,
                              stat.virtual_bytes));
    families.push_back(
        family("process_threads", "Threads of the process.", MetricType::Gauge, stat.threads));
    if (const auto boot = read_boot_time()) {
        families.push_back(family("process_start_time_seconds", "When the process started, Unix.",
                                  MetricType::Gauge, *boot + stat.start_after_boot));
    }
}

}  // namespace

std::vector<MetricFamily> process_metrics() {
    std::vector<MetricFamily> families;
    if (const auto stat = read_stat()) add_stat(families, *stat);
    if (const auto open = count_open_files()) {
        families.push_back(
            family("process_open_fds", "Open file descriptors.", MetricType::Gauge, *open));
    }
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        families.push_back(family("process_max_fds", "Most file descriptors that may be open.",
                                  MetricType::Gauge, static_cast<double>(limit.rlim_cur)));
    }
    return families;
}

}  // namespace millrace
