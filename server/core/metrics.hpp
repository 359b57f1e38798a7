// Metrics: counters, gauges and histograms, exposed in Prometheus' text format. prometheus-cpp is behind it and nowhere
// else.
//
// Thread rule: any thread; updates of counters and gauges are lock-free, a histogram locks its own series. Ownership: an instrument is a handle; when the last handle of a series
// goes, the series vanishes (a gauge of a revoked partition must not linger). Counters made by `counter` stay for the
// life of the registry, because a counter that vanishes breaks rate(). A handle must not outlive its Metrics. Errors: a name
// that is not Prometheus', or one name for two kinds of instrument, throws std::invalid_argument: a bug, found at start.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

using Labels = std::map<std::string, std::string>;

class Counter {
public:
    virtual ~Counter() = default;
    virtual void add(double amount = 1) = 0;
    virtual double value() const = 0;
};

class Gauge {
public:
    virtual ~Gauge() = default;
    virtual void set(double value) = 0;
    virtual void add(double amount) = 0;
    virtual double value() const = 0;
};

class Histogram {
public:
    virtual ~Histogram() = default;
    virtual void observe(double value) = 0;
};

class Metrics {
public:
    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    // The same name and labels give the same series. `help` of the first call for a name is the one shown.
    std::shared_ptr<Counter> counter(const std::string& name, const std::string& help, const Labels& labels = {});
    std::shared_ptr<Gauge> gauge(const std::string& name, const std::string& help, const Labels& labels = {});
    // `bounds`: ascending upper bounds; empty means seconds from 100 us to 60 s.
    std::shared_ptr<Histogram> histogram(const std::string& name, const std::string& help, const Labels& labels = {},
                                         std::vector<double> bounds = {});

    // Prometheus text format 0.0.4, with process_* of this process.
    std::string text() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
