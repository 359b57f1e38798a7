#include "core/metrics.hpp"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <sstream>

namespace millrace {
namespace {

// 100 us to 60 s.
const std::vector<double> kSeconds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                   0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};

class RegisteredCounter final : public Counter {
public:
    explicit RegisteredCounter(prometheus::Counter& counter) : counter_(counter) {}
    void add(double amount) override { counter_.Increment(amount); }
    double value() const override { return counter_.Value(); }

private:
    prometheus::Counter& counter_;
};

// Takes its series out of the family when it goes.
class RegisteredGauge final : public Gauge {
public:
    RegisteredGauge(prometheus::Family<prometheus::Gauge>& family, const Labels& labels) : family_(family), gauge_(family.Add(labels)) {}
    ~RegisteredGauge() override { family_.Remove(&gauge_); }
    void set(double value) override { gauge_.Set(value); }
    void add(double amount) override { gauge_.Increment(amount); }
    double value() const override { return gauge_.Value(); }

private:
    prometheus::Family<prometheus::Gauge>& family_;
    prometheus::Gauge& gauge_;
};

class RegisteredHistogram final : public Histogram {
public:
    RegisteredHistogram(prometheus::Family<prometheus::Histogram>& family, const Labels& labels, const std::vector<double>& bounds)
        : family_(family), histogram_(family.Add(labels, bounds)) {}
    ~RegisteredHistogram() override { family_.Remove(&histogram_); }
    void observe(double value) override { histogram_.Observe(value); }

private:
    prometheus::Family<prometheus::Histogram>& family_;
    prometheus::Histogram& histogram_;
};

using Series = std::pair<std::string, Labels>;

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_bytes() {
    std::ifstream file("/proc/self/statm");
    double total = 0;
    double resident = 0;
    file >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double open_files() {
    DIR* directory = opendir("/proc/self/fd");
    if (directory == nullptr) return 0;
    double count = -3;  // ".", ".." and the directory itself
    while (readdir(directory) != nullptr) ++count;
    closedir(directory);
    return count;
}

// Seconds since 1970: the boot's, and field 22 of /proc/self/stat in clock ticks after it (proc(5)).
double start_time() {
    std::ifstream stat("/proc/self/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string field;
    for (int i = 3; i <= 22; ++i) fields >> field;
    const double ticks = field.empty() ? 0 : std::stod(field);
    std::ifstream system("/proc/stat");
    std::string word;
    double boot = 0;
    while (system >> word) {
        if (word == "btime") system >> boot;
    }
    return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void append_process(std::string& text) {
    const auto line = [&](const char* name, const char* type, const char* help, double value) {
        std::ostringstream out;
        out.precision(15);
        out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n' << name << ' ' << value << '\n';
        text += out.str();
    };
    line("process_cpu_seconds_total", "counter", "User and system CPU time in seconds", cpu_seconds());
    line("process_resident_memory_bytes", "gauge", "Resident memory", resident_bytes());
    line("process_open_fds", "gauge", "Open file descriptors", open_files());
    line("process_start_time_seconds", "gauge", "Start of the process since 1970", start_time());
}

}  // namespace

struct Metrics::Impl {
    prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
    std::mutex mutex;
    std::map<Series, std::shared_ptr<Counter>> counters;
    std::map<Series, std::weak_ptr<Gauge>> gauges;
    std::map<Series, std::weak_ptr<Histogram>> histograms;
    std::map<std::string, std::string> help;  // of the first call for a name

    const std::string& help_of(const std::string& name, const std::string& given) { return help.emplace(name, given).first->second; }

    template <class Instrument, class Make>
    std::shared_ptr<Instrument> shared(std::map<Series, std::weak_ptr<Instrument>>& known, const std::string& name, const Labels& labels, Make make) {
        const std::lock_guard lock(mutex);
        auto& slot = known[{name, labels}];
        if (auto there = slot.lock()) return there;
        // The old series is removed before a new one of the same labels is made: the family would give the old one out again.
        std::shared_ptr<Instrument> made = make();
        slot = made;
        return made;
    }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

std::shared_ptr<Counter> Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
    const std::lock_guard lock(impl_->mutex);
    auto& slot = impl_->counters[{name, labels}];
    if (!slot) {
        auto& family = prometheus::BuildCounter().Name(name).Help(impl_->help_of(name, help)).Register(impl_->registry);
        slot = std::make_shared<RegisteredCounter>(family.Add(labels));
    }
    return slot;
}

std::shared_ptr<Gauge> Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
    return impl_->shared(impl_->gauges, name, labels, [&] {
        auto& family = prometheus::BuildGauge().Name(name).Help(impl_->help_of(name, help)).Register(impl_->registry);
        return std::make_shared<RegisteredGauge>(family, labels);
    });
}

std::shared_ptr<Histogram> Metrics::histogram(const std::string& name, const std::string& help, const Labels& labels,
                                              std::vector<double> bounds) {
    return impl_->shared(impl_->histograms, name, labels, [&] {
        auto& family = prometheus::BuildHistogram().Name(name).Help(impl_->help_of(name, help)).Register(impl_->registry);
        return std::make_shared<RegisteredHistogram>(family, labels, bounds.empty() ? kSeconds : bounds);
    });
}

std::string Metrics::text() const {
    std::string text = prometheus::TextSerializer().Serialize(impl_->registry.Collect());
    append_process(text);
    return text;
}

}  // namespace millrace
