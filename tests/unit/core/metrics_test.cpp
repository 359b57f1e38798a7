#include "core/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace millrace {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, the_same_name_and_labels_are_the_same_series) {
    Metrics metrics;
    const auto first = metrics.counter("records_total", "Records.", {{"topic", "a"}});
    const auto second = metrics.counter("records_total", "Ignored.", {{"topic", "a"}});
    first->add();
    second->add(2);
    EXPECT_EQ(first->value(), 3);
    EXPECT_THAT(metrics.text(), HasSubstr("# HELP records_total Records.\n"));
    EXPECT_THAT(metrics.text(), HasSubstr("records_total{topic=\"a\"} 3\n"));
}

TEST(Metrics, a_gauge_vanishes_with_its_last_handle_and_starts_anew) {
    Metrics metrics;
    auto first = metrics.gauge("lag", "Lag.", {{"partition", "0"}});
    auto second = metrics.gauge("lag", "Lag.", {{"partition", "0"}});
    const auto other = metrics.gauge("lag", "Lag.", {{"partition", "1"}});
    first->set(7);
    first.reset();
    EXPECT_THAT(metrics.text(), HasSubstr("lag{partition=\"0\"} 7\n"));
    second.reset();
    EXPECT_THAT(metrics.text(), Not(HasSubstr("partition=\"0\"")));
    EXPECT_THAT(metrics.text(), HasSubstr("lag{partition=\"1\"} 0\n"));
    EXPECT_EQ(metrics.gauge("lag", "Lag.", {{"partition", "0"}})->value(), 0);
}

TEST(Metrics, a_counter_outlives_its_handles) {
    Metrics metrics;
    metrics.counter("kept_total", "Kept.")->add(5);
    EXPECT_THAT(metrics.text(), HasSubstr("kept_total 5\n"));
}

TEST(Metrics, a_histogram_counts_into_its_own_bounds_and_vanishes) {
    Metrics metrics;
    auto histogram = metrics.histogram("took_seconds", "Took.", {}, {0.1, 1});
    histogram->observe(0.05);
    histogram->observe(0.5);
    const std::string text = metrics.text();
    EXPECT_THAT(text, HasSubstr("took_seconds_bucket{le=\"0.1\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("took_seconds_bucket{le=\"+Inf\"} 2\n"));
    histogram.reset();
    EXPECT_THAT(metrics.text(), Not(HasSubstr("took_seconds_bucket")));
}

TEST(Metrics, the_text_tells_what_the_process_uses) {
    const std::string text = Metrics().text();
    for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                             "process_open_fds", "process_start_time_seconds"})
        EXPECT_THAT(text, HasSubstr("\n" + std::string(name) + " ")) << name;
}

TEST(Metrics, a_series_that_is_let_go_and_taken_up_by_many_threads_is_counted_right) {
    Metrics metrics;
    const auto kept = metrics.gauge("busy", "Busy.");
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&metrics] {
            for (int turn = 0; turn < 2'000; ++turn) {
                metrics.gauge("busy", "Busy.")->add(1);
                metrics.gauge("brief", "Brief.")->add(1);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(kept->value(), 8'000);
    EXPECT_THAT(metrics.text(), Not(HasSubstr("brief 1")));
}

}  // namespace
}  // namespace millrace
