#include <gmock/gmock.h>

#include "conformance/suite/transport_conformance.hpp"

namespace millrace::conformance {
namespace {

TEST_P(TransportConformance, a_commit_is_seen_once_it_is_acknowledged_and_the_last_one_wins) {
    open({topic("committed")});
    publish_numbered("committed", 0, 10);
    auto reader = read_all("g", "committed");
    const TopicPartition origin = at("committed", 0);
    ASSERT_TRUE(run_until([&] { return reader->listener.at_end(origin, Offset{10}); }));
    EXPECT_EQ(reader->listener.assigned[origin].committed, std::nullopt);
    reader->consumer->commit(origin, Offset{3});
    reader->consumer->commit(origin, Offset{7});
    EXPECT_TRUE(run_until([&] { return reader->consumer->committed(origin) == Offset{7}; }));
    close(*reader);
}

TEST_P(TransportConformance, a_new_consumer_of_the_group_finds_what_was_committed_before_close) {
    open({topic("resumed", 2)});
    publish_numbered("resumed", 0, 10);
    auto first = read_all("g", "resumed");
    ASSERT_TRUE(run_until([&] { return first->listener.at_end(at("resumed", 0), Offset{10}); }));
    first->consumer->commit(at("resumed", 0), Offset{6});
    close(*first);
    auto second = read_all("g", "resumed");
    ASSERT_TRUE(run_until([&] { return second->listener.at_end(at("resumed", 0), Offset{10}); }));
    EXPECT_EQ(second->listener.assigned[at("resumed", 0)].committed, Offset{6});
    EXPECT_EQ(second->listener.assigned[at("resumed", 1)].committed, std::nullopt);
    EXPECT_EQ(second->listener.of(at("resumed", 0)).size(), 4U);
    close(*second);
}

TEST_P(TransportConformance, committed_positions_survive_a_restart) {
    if (!capabilities().restart) GTEST_SKIP() << "this log lives only as long as its transport";
    open({topic("remembered")});
    publish_numbered("remembered", 0, 10);
    auto first = read_all("g", "remembered");
    ASSERT_TRUE(run_until([&] { return first->listener.at_end(at("remembered", 0), Offset{10}); }));
    first->consumer->commit(at("remembered", 0), Offset{8});
    close(*first);
    close(transport_);
    transport_ = make_open(0);
    auto second = read_all("g", "remembered");
    ASSERT_TRUE(
        run_until([&] { return second->listener.at_end(at("remembered", 0), Offset{10}); }));
    EXPECT_EQ(second->listener.records.size(), 2U);
    close(*second);
}

TEST_P(TransportConformance, two_groups_do_not_know_of_each_other) {
    open({topic("shared")});
    publish_numbered("shared", 0, 20);
    auto one = read_all("one", "shared");
    auto two = read_all("two", "shared");
    const TopicPartition origin = at("shared", 0);
    ASSERT_TRUE(run_until([&] {
        return one->listener.at_end(origin, Offset{20}) && two->listener.at_end(origin, Offset{20});
    }));
    EXPECT_EQ(one->listener.records.size(), 20U);
    EXPECT_EQ(two->listener.records.size(), 20U);
    one->consumer->commit(origin, Offset{20});
    ASSERT_TRUE(run_until([&] { return one->consumer->committed(origin) == Offset{20}; }));
    EXPECT_NE(two->consumer->committed(origin), Offset{20});
    close(*one);
    close(*two);
}

TEST_P(TransportConformance, one_group_reads_all_its_topics) {
    open({topic("left", 2), topic("right", 3)});
    publish_numbered("left", 1, 3, "l");
    publish_numbered("right", 2, 3, "r");
    auto reader = prepare();
    Subscription both = subscription("g", "left");
    both.topics.push_back(unique("right"));
    subscribe(*reader, both);
    ASSERT_TRUE(run_until([&] { return reader->listener.records.size() == 6; }));
    EXPECT_EQ(reader->listener.assigned.size(), 5U);
    EXPECT_EQ(reader->listener.values(),
              (std::set<std::string>{"l0", "l1", "l2", "r0", "r1", "r2"}));
    close(*reader);
}

TEST_P(TransportConformance, broadcast_sees_every_partition_and_commits_nothing) {
    open({topic("all", 3)});
    for (int partition = 0; partition < 3; ++partition) publish_numbered("all", partition, 5);
    auto group = read_all("g", "all");
    Subscription everything = subscription("g", "all");
    everything.broadcast = true;
    auto one = prepare();
    auto two = prepare();
    subscribe(*one, everything);
    subscribe(*two, everything);
    const auto all = [](const Reader& reader) { return reader.listener.records.size() == 15; };
    ASSERT_TRUE(run_until([&] { return all(*group) && all(*one) && all(*two); }));
    for (int partition = 0; partition < 3; ++partition)
        one->consumer->commit(at("all", partition), Offset{5});
    close(*one);
    close(*two);
    close(*group);
    auto again = read_all("g", "all");
    ASSERT_TRUE(run_until([&] { return again->listener.records.size() == 15; }));
    EXPECT_EQ(again->listener.assigned[at("all", 0)].committed, std::nullopt);
    close(*again);
}

class Members {
public:
    Members(Transport& shared, std::unique_ptr<Transport> own)
        : shared_(shared), own_(std::move(own)) {}
    Transport& second() { return own_ ? *own_ : shared_; }
    std::unique_ptr<Transport>& own() { return own_; }

private:
    Transport& shared_;
    std::unique_ptr<Transport> own_;
};

TEST_P(TransportConformance,
       a_second_member_takes_over_its_share_from_where_the_first_has_committed) {
    if (!capabilities().rebalance) GTEST_SKIP() << "this log does not divide a group's partitions";
    if (!capabilities().commits_while_revoking)
        GTEST_SKIP() << "this log refuses commits while partitions are being given up";
    open({topic("divided", 2)});
    publish_numbered("divided", 0, 10);
    publish_numbered("divided", 1, 10);
    auto first = read_all("g", "divided");
    ASSERT_TRUE(run_until([&] { return first->listener.records.size() == 20; }));
    first->listener.when_revoked = [&](const std::vector<TopicPartition>& partitions) {
        for (const TopicPartition& origin : partitions) first->consumer->commit(origin, Offset{10});
    };
    Members members(*transport_, capabilities().members_share_transport ? nullptr : make_open(1));
    auto second = prepare();
    subscribe(*second, subscription("g", "divided"), &members.second());
    ASSERT_TRUE(run_until([&] {
        return second->listener.assigned.size() == 1 && first->listener.assigned.size() == 1;
    }));
    EXPECT_NE(first->listener.assigned.begin()->first, second->listener.assigned.begin()->first);
    EXPECT_EQ(second->listener.assigned.begin()->second.committed, Offset{10});
    publish_numbered("divided", 0, 5, "more");
    publish_numbered("divided", 1, 5, "more");
    ASSERT_TRUE(run_until([&] {
        return second->listener.records.size() == 5 && first->listener.records.size() == 25;
    })) << second->listener.records.size()
        << " and " << first->listener.records.size();
    close(*second);
    close(*first);
    if (members.own()) close(members.own());
}

TEST_P(TransportConformance, a_member_that_leaves_gives_its_partitions_to_the_other) {
    if (!capabilities().rebalance) GTEST_SKIP() << "this log does not divide a group's partitions";
    open({topic("inherited", 2)});
    auto first = read_all("g", "inherited");
    Members members(*transport_, capabilities().members_share_transport ? nullptr : make_open(1));
    auto second = prepare();
    subscribe(*second, subscription("g", "inherited"), &members.second());
    ASSERT_TRUE(run_until([&] {
        return second->listener.assigned.size() == 1 && first->listener.assigned.size() == 1;
    }));
    close(*first);
    ASSERT_TRUE(run_until([&] { return second->listener.assigned.size() == 2; }));
    publish_numbered("inherited", 0, 5);
    publish_numbered("inherited", 1, 5);
    EXPECT_TRUE(run_until([&] { return second->listener.records.size() == 10; }));
    close(*second);
    if (members.own()) close(members.own());
}

}  // namespace
}  // namespace millrace::conformance
