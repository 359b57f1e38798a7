#include "conformance/suite/transport_conformance.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace millrace::conformance {

std::vector<Received> copy_records(const RecordBatch& batch) {
    std::vector<Received> copies;
    for (const Record& record : batch.records) {
        Received copy{batch.origin, record.offset, record.timestamp,
                      std::nullopt, std::nullopt,  {}};
        if (record.key) copy.key = std::string(*record.key);
        if (record.value) copy.value = std::string(*record.value);
        for (const Header& header : record.headers)
            copy.headers.emplace_back(header.name, header.value);
        copies.push_back(std::move(copy));
    }
    return copies;
}

void RecordingListener::check(const TopicPartition& origin, Epoch epoch) {
    ++callbacks;
    const auto found = epochs_.find(origin);
    if (found == epochs_.end() || found->second != epoch) ++stale;
}

void RecordingListener::on_assigned(Epoch epoch, const std::vector<Assigned>& partitions) {
    ++callbacks;
    for (const Assigned& partition : partitions) {
        assigned[partition.origin] = partition;
        epochs_[partition.origin] = epoch;
        StartPosition from;
        if (partition.committed) from = {StartPosition::Kind::kOffset, *partition.committed, {}};
        if (start_at) from = start_at(partition);
        consumer->start(partition.origin, from);
    }
}

void RecordingListener::on_revoked(Epoch, const std::vector<TopicPartition>& partitions,
                                   std::function<void()> done) {
    ++callbacks;
    for (const TopicPartition& origin : partitions) {
        assigned.erase(origin);
        epochs_.erase(origin);
    }
    if (when_revoked) when_revoked(partitions);
    done();
}

void RecordingListener::on_lost(Epoch, const std::vector<TopicPartition>& partitions) {
    ++callbacks;
    for (const TopicPartition& origin : partitions) {
        assigned.erase(origin);
        epochs_.erase(origin);
    }
}

void RecordingListener::on_batch(RecordBatchPtr batch) {
    check(batch->origin, batch->epoch);
    const auto copies = copy_records(*batch);
    records.insert(records.end(), copies.begin(), copies.end());
    batches.push_back(batch);
    if (when_batch) when_batch(*batch);
}

void RecordingListener::on_end(const TopicPartition& origin, Epoch epoch, Offset end) {
    check(origin, epoch);
    ends[origin].push_back(end);
}

void RecordingListener::on_out_of_range(const TopicPartition& origin, Epoch epoch, Offset asked,
                                        Watermarks log) {
    check(origin, epoch);
    out_of_range.emplace_back(origin, asked);
    out_of_range_log = log;
}

void RecordingListener::on_failed(const Error& error) {
    ++callbacks;
    failures.push_back(error);
}

std::vector<Received> RecordingListener::of(const TopicPartition& origin) const {
    std::vector<Received> found;
    std::ranges::copy_if(records, std::back_inserter(found),
                         [&](const Received& record) { return record.origin == origin; });
    return found;
}

bool RecordingListener::at_end(const TopicPartition& origin, Offset end) const {
    const auto found = ends.find(origin);
    return found != ends.end() && std::ranges::find(found->second, end) != found->second.end();
}

std::set<std::string> RecordingListener::values() const {
    std::set<std::string> values;
    for (const Received& record : records) values.insert(record.value.value_or("(null)"));
    return values;
}

TransportConformance::TransportConformance() : driver_(GetParam().patience) {
    static std::atomic<int> tests{0};
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    suffix_ = "-" + std::to_string(now / std::chrono::milliseconds(1)) + "-" +
              std::to_string(::getpid()) + "-" + std::to_string(++tests);
}

TransportConformance::~TransportConformance() = default;

void TransportConformance::SetUp() {
    fixture_ = GetParam().make(driver_.runtime());
    if (const auto reason = fixture_->skip_reason()) GTEST_SKIP() << *reason;
    capabilities_ = fixture_->capabilities();
}

void TransportConformance::TearDown() {
    if (transport_) close(transport_);
    fixture_.reset();
}

std::string TransportConformance::unique(const std::string& name) const { return name + suffix_; }

TopicPartition TransportConformance::at(const std::string& topic, int partition) const {
    return {unique(topic), Partition{partition}};
}

TopicSpec TransportConformance::topic(std::string name, int partitions) {
    TopicSpec spec;
    spec.name = std::move(name);
    spec.partitions = partitions;
    return spec;
}

void TransportConformance::open(std::vector<TopicSpec> topics) {
    for (TopicSpec& topic : topics) topic.name = unique(topic.name);
    topics_ = std::move(topics);
    transport_ = make_open(0);
}

std::unique_ptr<Transport> TransportConformance::make_open(int member) {
    auto transport = fixture_->make(member);
    std::optional<Result<void>> opened;
    transport->open(topics_, [&](Result<void> result) { opened = std::move(result); });
    EXPECT_TRUE(run_until([&] { return opened.has_value(); })) << "open did not call back";
    if (opened) {
        EXPECT_TRUE(*opened) << opened->error().message;
    }
    return transport;
}

void TransportConformance::close(std::unique_ptr<Transport>& transport) {
    bool closed = false;
    transport->close([&] { closed = true; });
    EXPECT_TRUE(run_until([&] { return closed; })) << "close did not call back";
    transport.reset();
}

OutgoingRecord TransportConformance::record(const std::string& topic, int partition,
                                            std::string value) const {
    OutgoingRecord record;
    record.topic = unique(topic);
    record.partition = Partition{partition};
    record.value = std::move(value);
    return record;
}

std::vector<Result<RecordPosition>> TransportConformance::publish(
    std::vector<OutgoingRecord> records) {
    std::optional<std::vector<Result<RecordPosition>>> answer;
    bool inside = true;
    transport_->publish(std::move(records), Origin::kInternal,
                        [&](std::vector<Result<RecordPosition>> results) {
                            EXPECT_FALSE(inside) << "the callback came from inside the call";
                            answer = std::move(results);
                        });
    inside = false;
    EXPECT_TRUE(run_until([&] { return answer.has_value(); })) << "publish did not call back";
    return answer.value_or(std::vector<Result<RecordPosition>>{});
}

void TransportConformance::publish_numbered(const std::string& topic, int partition, int count,
                                            const std::string& prefix) {
    std::vector<OutgoingRecord> records;
    for (int i = 0; i < count; ++i)
        records.push_back(record(topic, partition, prefix + std::to_string(i)));
    const auto results = publish(std::move(records));
    ASSERT_EQ(results.size(), static_cast<std::size_t>(count));
    for (const auto& result : results) ASSERT_TRUE(result) << result.error().message;
}

Subscription TransportConformance::subscription(const std::string& group,
                                                const std::string& topic) const {
    Subscription subscription;
    subscription.group = unique(group);
    subscription.topics = {unique(topic)};
    return subscription;
}

void TransportConformance::subscribe(Reader& reader, const Subscription& subscription,
                                     Transport* transport) {
    const std::size_t before = reader.listener.callbacks;
    auto consumer =
        (transport == nullptr ? *transport_ : *transport).subscribe(subscription, reader.listener);
    ASSERT_TRUE(consumer) << consumer.error().message;
    EXPECT_EQ(reader.listener.callbacks, before) << "a callback came from inside subscribe";
    reader.consumer = std::move(*consumer);
    reader.listener.consumer = reader.consumer.get();
}

std::unique_ptr<Reader> TransportConformance::read_all(const std::string& group,
                                                       const std::string& topic) {
    auto reader = prepare();
    subscribe(*reader, subscription(group, topic));
    return reader;
}

void TransportConformance::close(Reader& reader) {
    bool closed = false;
    reader.consumer->close([&] { closed = true; });
    EXPECT_TRUE(run_until([&] { return closed; })) << "the consumer's close did not call back";
    reader.consumer.reset();
    EXPECT_EQ(reader.listener.stale, 0U)
        << "callbacks for partitions or epochs that were not assigned";
}

std::string TransportConformance::cluster_id() {
    std::optional<Result<std::string>> answer;
    transport_->cluster_id([&](Result<std::string> id) { answer = std::move(id); });
    EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
    return answer && *answer ? **answer : "";
}

Watermarks TransportConformance::watermarks(const TopicPartition& origin) {
    std::optional<Result<Watermarks>> answer;
    transport_->watermarks(origin, [&](Result<Watermarks> result) { answer = std::move(result); });
    EXPECT_TRUE(run_until([&] { return answer.has_value(); })) << "watermarks did not call back";
    if (!answer || !*answer) {
        ADD_FAILURE() << (answer ? answer->error().message : "no answer");
        return {};
    }
    return **answer;
}

Result<RecordBatchPtr> TransportConformance::read_page(const TopicPartition& origin, Offset offset,
                                                       std::size_t limit) {
    std::optional<Result<RecordBatchPtr>> answer;
    transport_->read(origin, offset, limit,
                     [&](Result<RecordBatchPtr> result) { answer = std::move(result); });
    EXPECT_TRUE(run_until([&] { return answer.has_value(); })) << "read did not call back";
    if (!answer) return fail(ErrorCode::kTimeout, "no answer");
    return *answer;
}

}  // namespace millrace::conformance
