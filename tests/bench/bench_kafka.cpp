// bench_kafka [records] [bytes]: how fast the Kafka transport publishes and reads, over 3
// partitions.
//
//     tests/integration/kafka/broker run -- build/release/bench/bench_kafka
//
// Publish: calls of 500 records, several on their way, each confirmed by the broker. Read: one
// consumer from the beginning.
#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <cstdlib>
#include <string>

#include "core/asio_runtime.hpp"
#include "transport/kafka/kafka_transport.hpp"

namespace millrace {
namespace {

constexpr int kPartitions = 3;
constexpr std::size_t kCallRecords = 500;
constexpr std::size_t kCallsInFlight = 20;

class CountingListener final : public ConsumerListener {
public:
    void on_assigned(Epoch, const std::vector<Assigned>& partitions) override {
        for (const Assigned& partition : partitions) consumer->start(partition.origin, {});
    }
    void on_revoked(Epoch, const std::vector<TopicPartition>&,
                    std::function<void()> done) override {
        done();
    }
    void on_lost(Epoch, const std::vector<TopicPartition>&) override {}
    void on_batch(RecordBatchPtr batch) override { records += batch->records.size(); }
    void on_end(const TopicPartition&, Epoch, Offset) override {}
    void on_out_of_range(const TopicPartition&, Epoch, Offset, Watermarks) override {}
    void on_failed(const Error& error) override { fmt::print("failed: {}\n", error.message); }

    Consumer* consumer = nullptr;
    std::size_t records = 0;
};

class Bench {
public:
    Bench(std::size_t records, std::size_t bytes) : records_(records), value_(bytes, 'x') {}

    int run() {
        open();
        report("publish", timed([this] { append(); }));
        if (refused_ > 0) fmt::print("{} records were refused\n", refused_);
        report("read", timed([this] { read(); }));
        close();
        return refused_ == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }

private:
    template <class Work>
    static double timed(Work work) {
        const auto start = std::chrono::steady_clock::now();
        work();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    void report(const char* what, double seconds) const {
        fmt::print("{:<20} {:>12.0f} records/s\n", what, static_cast<double>(records_) / seconds);
    }
    void run_until(const std::function<bool()>& happened) {
        while (!happened()) runtime_.context().run_one();
    }
    void open() {
        KafkaSection section;
        const char* brokers = std::getenv("MILLRACE_TEST_BROKERS");
        section.brokers = brokers == nullptr ? "127.0.0.1:9092" : brokers;
        section.create_topics = KafkaSection::CreateTopics::kAll;
        transport_ = std::make_unique<KafkaTransport>(runtime_, section, "bench");
        std::vector<TopicSpec> topics(1);
        topics[0].name = topic_;
        topics[0].partitions = kPartitions;
        bool opened = false;
        transport_->open(topics, [&](Result<void> result) {
            if (!result) fmt::print("{}\n", result.error().message);
            opened = true;
        });
        run_until([&] { return opened; });
    }
    void close() {
        bool closed = false;
        transport_->close([&] { closed = true; });
        run_until([&] { return closed; });
        transport_.reset();
    }
    void append() {
        std::size_t sent = 0;
        std::size_t decided = 0;
        while (decided < records_) {
            while (sent < records_ && sent - decided < kCallRecords * kCallsInFlight) {
                transport_->publish(call(sent), Origin::kInternal, [&](const auto& results) {
                    decided += results.size();
                    for (const auto& result : results) refused_ += result ? 0 : 1;
                });
                sent += kCallRecords;
            }
            runtime_.context().run_one();
        }
    }
    std::vector<OutgoingRecord> call(std::size_t first) const {
        std::vector<OutgoingRecord> records(kCallRecords);
        for (std::size_t i = 0; i < records.size(); ++i) {
            records[i].topic = topic_;
            records[i].key = "user-" + std::to_string((first + i) % 1'000);
            records[i].value = value_;
        }
        return records;
    }
    void read() {
        CountingListener listener;
        Subscription subscription;
        subscription.group = "bench";
        subscription.topics = {topic_};
        auto consumer = transport_->subscribe(subscription, listener).value();
        listener.consumer = consumer.get();
        run_until([&] { return listener.records >= records_; });
        bool left = false;
        consumer->close([&] { left = true; });
        run_until([&] { return left; });
    }

    std::size_t records_;
    std::string topic_ =
        fmt::format("bench-{}", std::chrono::system_clock::now().time_since_epoch().count());
    std::string value_;
    AsioRuntime runtime_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ =
        boost::asio::make_work_guard(runtime_.context());
    std::unique_ptr<KafkaTransport> transport_;
    std::size_t refused_ = 0;
};

}  // namespace
}  // namespace millrace

int main(int count, char** arguments) {
    const std::size_t records = count > 1 ? std::stoul(arguments[1]) : 1'000'000;
    const std::size_t bytes = count > 2 ? std::stoul(arguments[2]) : 200;
    return millrace::Bench(records / 500 * 500, bytes).run();
}
