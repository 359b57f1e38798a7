// The series of one handler that its shards feed. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/metrics.hpp"

namespace millrace::engine {

// How a record's way through the handler ended.
enum class Verdict { kAcked = 1, kIgnored, kSkipped, kDuplicate, kDeadLettered };

const char* to_string(Verdict verdict);

class ShardMetrics {
public:
    ShardMetrics(Metrics& metrics, std::string handler);

    void count(const std::string& topic, Verdict verdict, std::size_t records);
    Counter& dead_letters(const std::string& topic, const std::string& error_class);

    const std::shared_ptr<Counter> retries;
    const std::shared_ptr<Counter> dead_letter_write_failures;
    const std::shared_ptr<Counter> late_completions;
    const std::shared_ptr<Histogram> handle_seconds;
    const std::shared_ptr<Histogram> commit_seconds;
    const std::shared_ptr<Histogram> end_to_end_seconds;

private:
    Counter& cached(const std::string& key, const std::string& name, const std::string& help,
                    const Labels& labels);

    Metrics& metrics_;
    std::string handler_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Counter>> counters_;
};

}  // namespace millrace::engine
