#include "transport/kafka/kafka_transport.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "core/log.hpp"
#include "transport/kafka/broadcast_consumer.hpp"
#include "transport/kafka/group_consumer.hpp"
#include "transport/kafka/producer.hpp"
#include "transport/kafka/provision.hpp"
#include "transport/kafka/reader.hpp"

namespace millrace {
namespace {

constexpr milliseconds kQueryTimeout{5'000};
constexpr milliseconds kBuryTimeout{1'500};
constexpr milliseconds kBuryPoll{20};
constexpr std::chrono::seconds kUnknownTopicRefresh{
    1};  // at most one question a second for topics nobody knows
constexpr std::size_t kAssumedPartitions = 12;  // of a subscription whose topics are not known yet

using PartitionCounts = kafka::PartitionCounts;

bool fits(const OutgoingRecord& record, const PartitionCounts& counts) {
    const auto topic = counts.find(record.topic);
    if (topic == counts.end()) return false;
    return !record.partition ||
           (record.partition->value >= 0 && record.partition->value < topic->second);
}

Error misfit(const OutgoingRecord& record, const PartitionCounts& counts) {
    if (!counts.contains(record.topic))
        return fail(ErrorCode::kNotFound,
                    fmt::format("kafka: topic {} does not exist", record.topic));
    return fail(ErrorCode::kInvalid,
                fmt::format("kafka: topic {} has {} partitions, there is no {}", record.topic,
                            counts.at(record.topic), record.partition->value));
}

}  // namespace

struct KafkaTransport::Impl {
    using PublishDone = Callback<std::vector<Result<RecordPosition>>>;

    Impl(AsioRuntime& the_runtime, KafkaSection section, std::string installation_id)
        : runtime(the_runtime),
          settings(std::move(section), std::move(installation_id)),
          trouble(settings.section().brokers),
          helpers(runtime),
          lane(helpers.make_lane()),
          reaper(std::make_shared<kafka::Reaper>(helpers.make_lane())),
          producer(runtime, settings, reaper, trouble),
          watermarks(
              runtime, helpers, [this] { return producer.client(); }, trouble),
          reader(runtime, helpers, settings, reaper),
          context{runtime,
                  settings,
                  helpers,
                  reaper,
                  trouble,
                  watermarks,
                  [this](const std::string& group) { --members[group]; }} {}
    ~Impl() {
        *alive = false;
        reaper->retire();
    }

    void open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done);
    void opened(const Result<PartitionCounts>& answer, const Callback<Result<void>>& done);
    std::size_t partitions_of(const std::vector<std::string>& topics) const;
    void publish(std::vector<OutgoingRecord> records, PublishDone done);
    void publish_known(std::vector<OutgoingRecord> records, PublishDone done);
    bool all_fit(const std::vector<OutgoingRecord>& records) const;
    void wait_for_burials(milliseconds left, std::function<void()> done);

    // Asks the brokers for the topics, keeps the answer and passes it on.
    template <class Then>
    void refresh(Then then) {
        refreshed_at = runtime.clock().monotonic();
        auto work = [client = producer.client()] {
            return kafka::query_partition_counts(client->handle(), kQueryTimeout);
        };
        helpers.run(lane, std::move(work),
                    [this, is_alive = alive,
                     then = std::move(then)](const Result<PartitionCounts>& answer) {
                        if (!*is_alive) return;
                        if (answer) counts = *answer;
                        then(answer);
                    });
    }

    AsioRuntime& runtime;
    const kafka::Settings settings;
    kafka::Trouble trouble;
    kafka::Helpers helpers;
    std::shared_ptr<Strand> lane;
    std::shared_ptr<kafka::Reaper> reaper;
    kafka::Producer producer;
    kafka::WatermarkPoller watermarks;
    kafka::Reader reader;
    kafka::ConsumerContext context;
    PartitionCounts counts;
    std::optional<std::chrono::nanoseconds> refreshed_at;
    std::map<std::string, int> members;  // consumers of a group that live in this process
    std::unique_ptr<Timer> burial_timer;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

KafkaTransport::KafkaTransport(AsioRuntime& runtime, KafkaSection section,
                               std::string installation_id)
    : impl_(std::make_unique<Impl>(runtime, std::move(section), std::move(installation_id))) {}

KafkaTransport::~KafkaTransport() = default;

void KafkaTransport::open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) {
    impl_->open(topics, std::move(done));
}

void KafkaTransport::Impl::open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) {
    auto work = [client = producer.client(), topics, section = settings.section()] {
        return kafka::provision(client->handle(), topics, section);
    };
    helpers.run(
        lane, std::move(work),
        [this, is_alive = alive, done = std::move(done)](const Result<PartitionCounts>& answer) {
            if (*is_alive) opened(answer, done);
        });
}

void KafkaTransport::Impl::opened(const Result<PartitionCounts>& answer,
                                  const Callback<Result<void>>& done) {
    if (answer) {
        counts = *answer;
        trouble.clear("topics");
        trouble.brokers_answered();
        return done({});
    }
    Error error = answer.error();
    const bool away = error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout;
    if (away && !trouble.last_reason().empty())
        error.message = fmt::format("kafka: no answer from {}: {}; check kafka.brokers",
                                    settings.section().brokers, trouble.last_reason());
    trouble.report("topics", error.message);
    done(error);
}

Result<std::unique_ptr<Consumer>> KafkaTransport::subscribe(const Subscription& subscription,
                                                            ConsumerListener& listener) {
    const auto& context = impl_->context;
    auto client = kafka::FetchingConsumer::make_fetch_client(
        context, subscription, impl_->partitions_of(subscription.topics));
    if (!client) return client.error();
    const int member = ++impl_->members[subscription.group];
    if (subscription.broadcast) {
        return std::unique_ptr<Consumer>(
            new kafka::BroadcastConsumer(context, subscription, listener, *client));
    }
    return kafka::GroupConsumer::make(context, subscription, listener, *client, member);
}

std::size_t KafkaTransport::Impl::partitions_of(const std::vector<std::string>& topics) const {
    std::size_t partitions = 0;
    for (const auto& topic : topics) {
        const auto found = counts.find(topic);
        partitions +=
            found == counts.end() ? kAssumedPartitions : static_cast<std::size_t>(found->second);
    }
    return partitions;
}

void KafkaTransport::publish(std::vector<OutgoingRecord> records, Origin,
                             Callback<std::vector<Result<RecordPosition>>> done) {
    impl_->publish(std::move(records), std::move(done));
}

bool KafkaTransport::Impl::all_fit(const std::vector<OutgoingRecord>& records) const {
    return std::all_of(records.begin(), records.end(),
                       [this](const OutgoingRecord& record) { return fits(record, counts); });
}

void KafkaTransport::Impl::publish(std::vector<OutgoingRecord> records, PublishDone done) {
    const bool fresh =
        refreshed_at && runtime.clock().monotonic() - *refreshed_at < kUnknownTopicRefresh;
    if (all_fit(records) || (fresh && !counts.empty()))
        return publish_known(std::move(records), std::move(done));
    if (counts.empty() && trouble.brokers_are_away()) {
        std::vector<Result<RecordPosition>> refused(
            records.size(),
            fail(ErrorCode::kUnavailable, "kafka: " + trouble.first().value_or("")));
        return runtime.loop().post(
            [done = std::move(done), refused = std::move(refused)] { done(refused); });
    }
    auto held = std::make_shared<std::vector<OutgoingRecord>>(std::move(records));
    refresh([this, held, done = std::move(done)](const Result<PartitionCounts>& answer) {
        if (answer || !counts.empty()) return publish_known(std::move(*held), done);
        done(std::vector<Result<RecordPosition>>(held->size(), answer.error()));
    });
}

// Librdkafka would hold a record for an unknown topic back, hoping; here it is answered at once.
void KafkaTransport::Impl::publish_known(std::vector<OutgoingRecord> records, PublishDone done) {
    if (all_fit(records)) return producer.publish(std::move(records), std::move(done));
    auto results = std::make_shared<std::vector<Result<RecordPosition>>>();
    auto places = std::make_shared<std::vector<std::size_t>>();
    std::vector<OutgoingRecord> good;
    for (std::size_t i = 0; i < records.size(); ++i) {
        results->push_back(fail(ErrorCode::kInternal, "undecided"));
        if (!fits(records[i], counts)) {
            results->back() = misfit(records[i], counts);
            continue;
        }
        places->push_back(i);
        good.push_back(std::move(records[i]));
    }
    producer.publish(std::move(good), [results, places, done = std::move(done)](auto answered) {
        for (std::size_t i = 0; i < answered.size(); ++i)
            (*results)[(*places)[i]] = std::move(answered[i]);
        done(std::move(*results));
    });
}

void KafkaTransport::cluster_id(Callback<Result<std::string>> done) {
    auto work = [client = impl_->producer.client()] {
        return kafka::query_cluster_id(client->handle(), kQueryTimeout);
    };
    impl_->helpers.run(impl_->lane, std::move(work), std::move(done));
}

void KafkaTransport::topics(Callback<Result<std::vector<TopicInfo>>> done) {
    impl_->refresh([done = std::move(done)](const Result<PartitionCounts>& answer) {
        if (!answer) return done(answer.error());
        std::vector<TopicInfo> topics;
        for (const auto& [name, partitions] : *answer)
            if (!name.starts_with("__")) topics.push_back(TopicInfo{name, partitions});
        done(std::move(topics));
    });
}

void KafkaTransport::watermarks(const TopicPartition& origin, Callback<Result<Watermarks>> done) {
    auto work = [client = impl_->producer.client(), origin] {
        return kafka::query_ends(client->handle(), origin, kQueryTimeout);
    };
    impl_->helpers.run(impl_->lane, std::move(work), std::move(done));
}

void KafkaTransport::offset_at(const TopicPartition& origin, Timestamp time,
                               Callback<Result<Offset>> done) {
    auto work = [client = impl_->producer.client(), origin, time] {
        return kafka::query_offset_at(client->handle(), origin, time, kQueryTimeout);
    };
    impl_->helpers.run(impl_->lane, std::move(work), std::move(done));
}

void KafkaTransport::read(const TopicPartition& origin, Offset offset, std::size_t limit,
                          Callback<Result<RecordBatchPtr>> done) {
    impl_->reader.read(origin, offset, limit, std::move(done));
}

std::optional<std::string> KafkaTransport::trouble() const { return impl_->trouble.first(); }

void KafkaTransport::close(std::function<void()> done) {
    impl_->watermarks.stop();
    impl_->reader.stop();
    impl_->producer.close(
        [impl = impl_.get(), is_alive = impl_->alive, done = std::move(done)]() mutable {
            if (*is_alive) impl->wait_for_burials(kBuryTimeout, std::move(done));
        });
}

// Only the producer's client is left then; a batch that someone still holds would keep its client.
void KafkaTransport::Impl::wait_for_burials(milliseconds left, std::function<void()> done) {
    constexpr int kOnlyTheProducer = 1;
    if (reaper->alive() <= kOnlyTheProducer) return runtime.loop().post(std::move(done));
    if (left <= milliseconds{0}) {
        log::warn("kafka", "{} clients are still in use", reaper->alive() - kOnlyTheProducer);
        return runtime.loop().post(std::move(done));
    }
    burial_timer = runtime.loop().after(kBuryPoll, [this, left, done = std::move(done)]() mutable {
        wait_for_burials(left - kBuryPoll, std::move(done));
    });
}

}  // namespace millrace
