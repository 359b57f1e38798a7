#include "core/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <iterator>
#include <mutex>
#include <utility>

#include "core/process_metrics.hpp"

namespace millrace {
namespace {

using SeriesKey = std::pair<std::string, Labels>;

// Of one kind of instrument: its series, and how many handles each has.
template <class Instrument>
class SeriesTable {
public:
    struct Series {
        prometheus::Family<Instrument>* family = nullptr;
        Instrument* instrument = nullptr;
        std::size_t handles = 0;
    };

    template <class... Arguments>
    Instrument& acquire(prometheus::Family<Instrument>& family, const SeriesKey& key,
                        const Arguments&... arguments) {
        std::lock_guard lock(mutex_);
        Series& series = series_[key];
        if (series.instrument == nullptr) {
            const prometheus::Labels labels(key.second.begin(), key.second.end());
            series = {&family, &family.Add(labels, arguments...), 0};
        }
        ++series.handles;
        return *series.instrument;
    }

    void release(const SeriesKey& key) {
        std::lock_guard lock(mutex_);
        const auto found = series_.find(key);
        if (--found->second.handles > 0) return;
        found->second.family->Remove(found->second.instrument);
        series_.erase(found);
    }

private:
    std::mutex mutex_;
    std::map<SeriesKey, Series> series_;
};

// Keeps its series alive.
template <class Instrument>
class SeriesHandle {
public:
    template <class... Arguments>
    SeriesHandle(SeriesTable<Instrument>& table, prometheus::Family<Instrument>& family,
                 SeriesKey key, const Arguments&... arguments)
        : table_(table),
          key_(std::move(key)),
          instrument_(table.acquire(family, key_, arguments...)) {}
    ~SeriesHandle() { table_.release(key_); }
    SeriesHandle(const SeriesHandle&) = delete;
    SeriesHandle& operator=(const SeriesHandle&) = delete;

    Instrument& get() const { return instrument_; }

private:
    SeriesTable<Instrument>& table_;
    SeriesKey key_;
    Instrument& instrument_;
};

class CounterHandle final : public Counter {
public:
    explicit CounterHandle(prometheus::Counter& counter) : counter_(counter) {}
    void add(double amount) override { counter_.Increment(amount); }
    double value() const override { return counter_.Value(); }

private:
    prometheus::Counter& counter_;
};

class GaugeHandle final : public Gauge {
public:
    template <class... Arguments>
    explicit GaugeHandle(Arguments&&... arguments)
        : series_(std::forward<Arguments>(arguments)...) {}
    void set(double value) override { series_.get().Set(value); }
    void add(double amount) override { series_.get().Increment(amount); }
    double value() const override { return series_.get().Value(); }

private:
    SeriesHandle<prometheus::Gauge> series_;
};

class HistogramHandle final : public Histogram {
public:
    template <class... Arguments>
    explicit HistogramHandle(Arguments&&... arguments)
        : series_(std::forward<Arguments>(arguments)...) {}
    void observe(double value) override { series_.get().Observe(value); }

private:
    SeriesHandle<prometheus::Histogram> series_;
};

std::vector<double> default_bounds() {
    return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
            0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};
}

}  // namespace

struct Metrics::Impl {
    prometheus::Registry registry;
    SeriesTable<prometheus::Gauge> gauges;
    SeriesTable<prometheus::Histogram> histograms;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}

Metrics::~Metrics() = default;

std::shared_ptr<Counter> Metrics::counter(const std::string& name, const std::string& help,
                                          const Labels& labels) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
    return std::make_shared<CounterHandle>(family.Add({labels.begin(), labels.end()}));
}

std::shared_ptr<Gauge> Metrics::gauge(const std::string& name, const std::string& help,
                                      const Labels& labels) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
    return std::make_shared<GaugeHandle>(impl_->gauges, family, SeriesKey(name, labels));
}

std::shared_ptr<Histogram> Metrics::histogram(const std::string& name, const std::string& help,
                                              const Labels& labels, std::vector<double> bounds) {
    if (bounds.empty()) bounds = default_bounds();
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
    return std::make_shared<HistogramHandle>(impl_->histograms, family, SeriesKey(name, labels),
                                             bounds);
}

std::string Metrics::text() const {
    std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
    std::ranges::move(process_metrics(), std::back_inserter(families));
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace millrace
