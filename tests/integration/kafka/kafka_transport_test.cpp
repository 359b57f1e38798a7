// What only a real broker can show of the Kafka transport:
//
//     tests/integration/kafka/broker run -- build/release/tests/integration_kafka
#include "transport/kafka/kafka_transport.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "integration/kafka/foreign_client.hpp"

namespace millrace {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

class NotingListener final : public ConsumerListener {
public:
    void on_assigned(Epoch, const std::vector<Assigned>& partitions) override {
        ++assignments;
        for (const auto& partition : partitions) {
            assigned[partition.origin] = partition;
            StartPosition from;
            if (partition.committed)
                from = {StartPosition::Kind::kOffset, *partition.committed, {}};
            consumer->start(partition.origin, from);
        }
    }
    void on_revoked(Epoch, const std::vector<TopicPartition>&,
                    std::function<void()> done) override {
        assigned.clear();
        if (drains) done();
    }
    void on_lost(Epoch, const std::vector<TopicPartition>&) override {
        assigned.clear();
        ++lost;
    }
    void on_batch(RecordBatchPtr batch) override {
        for (const auto& record : batch->records) {
            values.emplace_back(record.value.value_or("(null)"));
            last[batch->origin] = record.offset;
        }
    }
    void on_end(const TopicPartition& origin, Epoch, Offset end) override { ends[origin] = end; }
    void on_out_of_range(const TopicPartition& origin, Epoch, Offset offset,
                         Watermarks log) override {
        asked = offset;
        low = log.low;
        consumer->start(origin, {StartPosition::Kind::kOffset, log.low, {}});
    }
    void on_failed(const Error& error) override { failure = error; }

    Consumer* consumer = nullptr;
    bool drains = true;
    std::map<TopicPartition, Assigned> assigned;
    std::map<TopicPartition, Offset> ends;
    std::map<TopicPartition, Offset> last;
    std::vector<std::string> values;
    int assignments = 0;
    int lost = 0;
    std::optional<Offset> asked;
    std::optional<Offset> low;
    std::optional<Error> failure;
};

class KafkaBroker : public ::testing::Test {
protected:
    struct Member {
        NotingListener listener;
        std::unique_ptr<Consumer> consumer;
    };

    void SetUp() override {
        brokers_ = environment("MILLRACE_TEST_BROKERS");
        if (brokers_.empty())
            GTEST_SKIP() << "no Kafka broker: " << environment("MILLRACE_TEST_BROKERS_UNAVAILABLE");
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        topic_ = "t" + std::to_string(now / std::chrono::microseconds(1)) + "-" +
                 std::to_string(::getpid());
    }
    void TearDown() override {
        for (auto& transport : transports_) close(*transport);
    }

    bool run_until(const std::function<bool()>& happened) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(40);
        while (!happened() && std::chrono::steady_clock::now() < deadline)
            runtime_.context().run_one_until(deadline);
        return happened();
    }
    KafkaSection section(std::vector<std::pair<std::string, std::string>> properties = {}) const {
        KafkaSection section;
        section.brokers = brokers_;
        section.create_topics = KafkaSection::CreateTopics::kAll;
        section.properties = std::move(properties);
        return section;
    }
    Transport& make(const KafkaSection& section, const std::string& installation = "one") {
        transports_.push_back(std::make_unique<KafkaTransport>(runtime_, section, installation));
        return *transports_.back();
    }
    Result<void> open(Transport& transport, const std::vector<TopicSpec>& topics) {
        std::optional<Result<void>> opened;
        transport.open(topics, [&](Result<void> result) { opened = std::move(result); });
        EXPECT_TRUE(run_until([&] { return opened.has_value(); }));
        return opened.value_or(fail(ErrorCode::kTimeout, "open did not call back"));
    }
    TopicSpec spec(int partitions = 1) const {
        TopicSpec spec;
        spec.name = topic_;
        spec.partitions = partitions;
        return spec;
    }
    std::vector<Result<RecordPosition>> publish(Transport& transport, const std::string& topic,
                                                std::vector<std::string> values) {
        std::vector<OutgoingRecord> records(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            records[i].topic = topic;
            records[i].partition = Partition{0};
            records[i].value = std::move(values[i]);
        }
        std::optional<std::vector<Result<RecordPosition>>> answer;
        transport.publish(std::move(records), Origin::kInternal,
                          [&](auto results) { answer = std::move(results); });
        EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
        return answer.value_or(std::vector<Result<RecordPosition>>{});
    }
    std::unique_ptr<Member> join(Transport& transport, const std::string& topic,
                                 bool exclusive = false) {
        auto member = std::make_unique<Member>();
        Subscription subscription;
        subscription.exclusive = exclusive;
        subscription.group = "g-" + topic_;
        subscription.topics = {topic};
        auto consumer = transport.subscribe(subscription, member->listener);
        EXPECT_TRUE(consumer);
        member->consumer = std::move(*consumer);
        member->listener.consumer = member->consumer.get();
        return member;
    }
    template <class Closable>
    void close(Closable& closable) {
        bool closed = false;
        closable.close([&] { closed = true; });
        EXPECT_TRUE(run_until([&] { return closed; }));
    }
    TopicPartition zero() const { return {topic_, Partition{0}}; }

    std::string brokers_;
    std::string topic_;
    AsioRuntime runtime_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ =
        boost::asio::make_work_guard(runtime_.context());
    std::vector<std::unique_ptr<Transport>> transports_;
};

TEST_F(KafkaBroker, a_dead_letter_topic_gets_its_sources_partitions_and_room_for_the_context) {
    Transport& maker = make(section());
    TopicSpec source = spec(5);
    source.max_record_bytes = 2'000'000;
    ASSERT_TRUE(open(maker, {source}));
    KafkaSection dead_letters_only = section();
    dead_letters_only.create_topics = KafkaSection::CreateTopics::kDeadLetters;
    Transport& transport = make(dead_letters_only);
    TopicSpec dead_letters;
    dead_letters.name = topic_ + "-dlq";
    dead_letters.dead_letter = true;
    const auto opened = open(transport, {dead_letters, spec(5)});
    ASSERT_TRUE(opened) << opened.error().message;

    std::vector<TopicInfo> topics;
    transport.topics([&](auto answer) { topics = *answer; });
    ASSERT_TRUE(run_until([&] { return !topics.empty(); }));
    const auto found = std::find_if(topics.begin(), topics.end(), [&](const TopicInfo& topic) {
        return topic.name == dead_letters.name;
    });
    ASSERT_NE(found, topics.end());
    EXPECT_EQ(found->partitions, 5);

    const std::string large(2'000'000 + 30'000, 'x');
    const auto refused = publish(transport, topic_, {large});
    ASSERT_FALSE(refused.at(0));
    EXPECT_EQ(refused[0].error().code, ErrorCode::kTooLarge);
    const auto taken = publish(transport, dead_letters.name, {large});
    EXPECT_TRUE(taken.at(0)) << taken[0].error().message;
}

TEST_F(KafkaBroker, the_end_is_told_past_the_control_records_of_transactions) {
    Transport& transport = make(section());
    ASSERT_TRUE(open(transport, {spec()}));
    test::ForeignClient foreign(brokers_, topic_);
    foreign.transact(topic_, {"a", "b"}, true);
    foreign.transact(topic_, {"never"}, false);
    auto member = join(transport, topic_);
    // a, b, commit marker, never, abort marker.
    ASSERT_TRUE(run_until([&] { return member->listener.ends[zero()] == Offset{5}; }));
    EXPECT_EQ(member->listener.values, (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(run_until([&] {
        const auto ends = member->consumer->watermarks(zero());
        return ends && ends->high == Offset{5};
    }));
    close(*member->consumer);
}

TEST_F(KafkaBroker, a_position_that_retention_has_passed_is_reported_with_what_is_left) {
    Transport& transport = make(section());
    ASSERT_TRUE(open(transport, {spec()}));
    ASSERT_TRUE(publish(transport, topic_, {"0", "1", "2", "3", "4"}).at(4));
    auto first = join(transport, topic_);
    ASSERT_TRUE(run_until([&] { return first->listener.ends[zero()] == Offset{5}; }));
    first->consumer->commit(zero(), Offset{1});
    close(*first->consumer);
    test::ForeignClient(brokers_, topic_).delete_records_before(topic_, 3);
    auto second = join(transport, topic_);
    ASSERT_TRUE(run_until([&] { return second->listener.values.size() == 2; }));
    EXPECT_EQ(second->listener.asked, Offset{1});
    EXPECT_EQ(second->listener.low, Offset{3});
    EXPECT_EQ(second->listener.values, (std::vector<std::string>{"3", "4"}));
    close(*second->consumer);
}

TEST_F(KafkaBroker, a_process_that_was_killed_gets_its_partitions_back_before_its_session_expires) {
    const KafkaSection patient = section({{"session.timeout.ms", "45000"}});
    Transport& killed = make(patient);
    ASSERT_TRUE(open(killed, {spec(2)}));
    auto first = join(killed, topic_);
    ASSERT_TRUE(run_until([&] { return first->listener.assigned.size() == 2; }));
    first->consumer.reset();

    Transport& restarted = make(patient);
    ASSERT_TRUE(open(restarted, {spec(2)}));
    const auto begin = std::chrono::steady_clock::now();
    auto second = join(restarted, topic_);
    ASSERT_TRUE(run_until([&] { return second->listener.assigned.size() == 2; }));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    close(*second->consumer);
}

TEST_F(KafkaBroker, a_member_whose_place_was_taken_by_its_own_id_fails_for_good) {
    Transport& one = make(section({{"heartbeat.interval.ms", "200"}}), "same");
    Transport& two = make(section({{"heartbeat.interval.ms", "200"}}), "same");
    ASSERT_TRUE(open(one, {spec()}));
    ASSERT_TRUE(open(two, {spec()}));
    auto first = join(one, topic_);
    ASSERT_TRUE(run_until([&] { return first->listener.assigned.size() == 1; }));
    auto second = join(two, topic_);
    ASSERT_TRUE(run_until([&] { return second->listener.assigned.size() == 1; }));
    EXPECT_TRUE(run_until([&] { return first->listener.failure.has_value(); }));
    EXPECT_FALSE(second->listener.failure);
    close(*second->consumer);
    close(*first->consumer);
}

TEST_F(KafkaBroker, another_installation_is_named_and_waited_for) {
    const KafkaSection hasty =
        section({{"session.timeout.ms", "1500"}, {"heartbeat.interval.ms", "200"}});
    Transport& one = make(hasty, "one");
    Transport& two = make(hasty, "two");
    ASSERT_TRUE(open(one, {spec(2)}));
    ASSERT_TRUE(open(two, {spec(2)}));
    auto first = join(one, topic_, true);
    ASSERT_TRUE(run_until([&] { return first->listener.assigned.size() == 2; }));
    EXPECT_EQ(first->consumer->waits_for(), "");
    auto second = join(two, topic_, true);
    ASSERT_TRUE(run_until([&] { return !second->consumer->waits_for().empty(); }));
    EXPECT_NE(second->consumer->waits_for().find("g-" + topic_ + ".one at "), std::string::npos)
        << second->consumer->waits_for();
    EXPECT_EQ(first->listener.assignments, 1);
    close(*first->consumer);
    ASSERT_TRUE(run_until([&] { return second->listener.assigned.size() == 2; }));
    EXPECT_EQ(second->consumer->waits_for(), "");
    close(*second->consumer);
}

TEST_F(KafkaBroker, of_two_installations_that_join_at_once_one_stays) {
    const KafkaSection hasty =
        section({{"session.timeout.ms", "1500"}, {"heartbeat.interval.ms", "200"}});
    Transport& one = make(hasty, "one");
    Transport& two = make(hasty, "two");
    ASSERT_TRUE(open(one, {spec(2)}));
    ASSERT_TRUE(open(two, {spec(2)}));
    auto second = join(two, topic_, true);
    auto first = join(one, topic_, true);
    const auto settled = [](const Member& stays, const Member& waits) {
        return stays.listener.assigned.size() == 2 && waits.listener.assigned.empty() &&
               !waits.consumer->waits_for().empty();
    };
    EXPECT_TRUE(run_until([&] { return settled(*first, *second) || settled(*second, *first); }));
    close(*first->consumer);
    close(*second->consumer);
}

TEST_F(KafkaBroker, a_loop_that_stood_still_too_long_loses_its_partitions_and_gets_them_again) {
    Transport& transport = make(section({{"session.timeout.ms", "1000"},
                                         {"heartbeat.interval.ms", "200"},
                                         {"max.poll.interval.ms", "1500"}}));
    ASSERT_TRUE(open(transport, {spec()}));
    auto member = join(transport, topic_);
    ASSERT_TRUE(run_until([&] { return member->listener.assigned.size() == 1; }));
    // The subject of the test: nothing of ours runs for that long.
    std::this_thread::sleep_for(std::chrono::milliseconds(4'000));
    EXPECT_TRUE(run_until([&] { return member->listener.lost == 1; }));
    EXPECT_TRUE(run_until([&] { return member->listener.assignments == 2; }));
    close(*member->consumer);
}

TEST_F(KafkaBroker, a_listener_that_does_not_drain_in_time_does_not_hold_the_group) {
    KafkaSection hasty =
        section({{"session.timeout.ms", "3000"}, {"heartbeat.interval.ms", "200"}});
    hasty.drain_timeout = milliseconds{500};
    Transport& one = make(hasty, "one");
    Transport& two = make(hasty, "two");
    ASSERT_TRUE(open(one, {spec(2)}));
    ASSERT_TRUE(open(two, {spec(2)}));
    auto stubborn = join(one, topic_);
    stubborn->listener.drains = false;
    ASSERT_TRUE(run_until([&] { return stubborn->listener.assigned.size() == 2; }));
    auto other = join(two, topic_);
    EXPECT_TRUE(run_until([&] { return other->listener.assigned.size() == 1; }));
    close(*other->consumer);
    close(*stubborn->consumer);
}

TEST_F(KafkaBroker, reading_and_writing_go_on_after_the_broker_was_killed_and_started_again) {
    const std::string control = environment("MILLRACE_TEST_BROKER_CONTROL");
    if (control.empty()) GTEST_SKIP() << "this broker cannot be restarted by a test";
    Transport& transport = make(section({{"message.timeout.ms", "60000"}}));
    ASSERT_TRUE(open(transport, {spec()}));
    auto member = join(transport, topic_);
    ASSERT_TRUE(publish(transport, topic_, {"before"}).at(0));
    ASSERT_TRUE(run_until([&] { return member->listener.values.size() == 1; }));
    member->consumer->commit(zero(), Offset{1});
    ASSERT_TRUE(run_until([&] { return member->consumer->committed(zero()) == Offset{1}; }));

    ::kill(static_cast<pid_t>(std::stol(control)), SIGUSR1);
    EXPECT_TRUE(run_until([&] { return transport.trouble().has_value(); }));
    const auto results = publish(transport, topic_, {"during"});
    EXPECT_TRUE(results.at(0)) << results[0].error().message;
    EXPECT_TRUE(run_until([&] { return member->listener.values.size() == 2; }));
    EXPECT_TRUE(run_until([&] { return !transport.trouble().has_value(); }));
    member->consumer->commit(zero(), Offset{2});
    EXPECT_TRUE(run_until([&] { return member->consumer->committed(zero()) == Offset{2}; }));
    EXPECT_EQ(member->listener.values, (std::vector<std::string>{"before", "during"}));
    close(*member->consumer);
}

}  // namespace
}  // namespace millrace
