// What this process uses, read from /proc when it is asked for: the process_* series of Prometheus.
//
// Any thread. A value that cannot be read is left out. Names and meanings:
// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace millrace {

std::vector<prometheus::MetricFamily> process_metrics();

}  // namespace millrace
