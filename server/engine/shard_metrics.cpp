#include "engine/shard_metrics.hpp"

#include <utility>

namespace millrace::engine {

const char* to_string(Verdict verdict) {
    switch (verdict) {
        case Verdict::kAcked:
            return "acked";
        case Verdict::kIgnored:
            return "ignored";
        case Verdict::kSkipped:
            return "skipped";
        case Verdict::kDuplicate:
            return "duplicate";
        case Verdict::kDeadLettered:
            return "dead_lettered";
    }
    return "unknown";
}

ShardMetrics::ShardMetrics(Metrics& metrics, std::string handler)
    : retries(metrics.counter("millrace_retries_total", "Failed attempts that were tried again",
                              {{"handler", handler}})),
      dead_letter_write_failures(metrics.counter(
          "millrace_dead_letter_write_failures_total",
          "Dead letters that could not be written (each is tried again)", {{"handler", handler}})),
      late_completions(metrics.counter("millrace_late_completions_total",
                                       "Completions that came for an attempt that was over",
                                       {{"handler", handler}})),
      handle_seconds(metrics.histogram("millrace_handle_seconds",
                                       "Time in the handler's code, per input",
                                       {{"handler", handler}})),
      commit_seconds(metrics.histogram("millrace_commit_seconds",
                                       "Time of a group commit, the sync included",
                                       {{"handler", handler}})),
      end_to_end_seconds(metrics.histogram("millrace_end_to_end_seconds",
                                           "From a record's timestamp to its durable outcome",
                                           {{"handler", handler}})),
      metrics_(metrics),
      handler_(std::move(handler)) {}

void ShardMetrics::count(const std::string& topic, Verdict verdict, std::size_t records) {
    const auto amount = static_cast<double>(records);
    const std::string outcome = to_string(verdict);
    if (verdict == Verdict::kDuplicate) {
        cached("d:" + topic, "millrace_duplicates_total",
               "Records skipped because their event had been handled",
               {{"handler", handler_}, {"topic", topic}})
            .add(amount);
    }
    cached("r:" + topic + ":" + outcome, "millrace_records_total", "Records by how they ended",
           {{"handler", handler_}, {"topic", topic}, {"outcome", outcome}})
        .add(amount);
}

Counter& ShardMetrics::dead_letters(const std::string& topic, const std::string& error_class) {
    return cached("l:" + topic + ":" + error_class, "millrace_dead_letters_total",
                  "Dead letters by the class of their error",
                  {{"handler", handler_}, {"topic", topic}, {"class", error_class}});
}

Counter& ShardMetrics::cached(const std::string& key, const std::string& name,
                              const std::string& help, const Labels& labels) {
    const std::lock_guard lock(mutex_);
    auto& counter = counters_[key];
    if (!counter) counter = metrics_.counter(name, help, labels);
    return *counter;
}

}  // namespace millrace::engine
