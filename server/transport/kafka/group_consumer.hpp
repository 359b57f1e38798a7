// GroupConsumer: a subscription as a member of a consumer group.
//
// Assignment: the group's committed offsets are asked for, then the listener starts each partition
// where its own state says. An exclusive subscription joins
// only when no other installation is in the group, and says whom it waits for. Revocation: reading
// stops, the listener drains and commits, at most `kafka.drain_timeout`; then the last commit is
// waited for and the partitions go. Everything is on the loop thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "transport/kafka/committer.hpp"
#include "transport/kafka/consumer.hpp"
#include "transport/kafka/group_members.hpp"
#include "transport/kafka/membership.hpp"

namespace millrace::kafka {

class GroupConsumer final : public FetchingConsumer, private MembershipSink {
public:
    // `member` tells apart several members that this process has in the group.
    static Result<std::unique_ptr<Consumer>> make(const ConsumerContext& context,
                                                  const Subscription& subscription,
                                                  ConsumerListener& listener,
                                                  ClientPtr fetch_client, int member);
    ~GroupConsumer() override;

    void commit(const TopicPartition& origin, Offset position) override;
    std::optional<Offset> committed(const TopicPartition& origin) const override {
        return committer_.committed(origin);
    }
    std::string waits_for() const override { return waits_for_; }

private:
    GroupConsumer(const ConsumerContext& context, const Subscription& subscription,
                  ConsumerListener& listener, ClientPtr fetch_client, int member);

    void on_given(std::vector<TopicPartition> partitions) override;
    void on_taken(std::vector<TopicPartition> partitions, bool lost) override;
    void on_commit_answered(const Positions& acknowledged, const Positions& refused,
                            rd_kafka_resp_err_t code) override {
        committer_.answered(acknowledged, refused, code);
    }
    void on_membership_error(rd_kafka_resp_err_t code, const std::string& reason) override;
    void on_membership_failed(const Error& error) override { fail_for_good(error); }

    // Being alone (group_consumer_alone.cpp).
    bool is_exclusive() const;
    void look_around(std::function<void(const std::vector<GroupMember>&)> then);
    void join_when_alone();
    void settle_who_stays(Epoch epoch);
    void step_back();
    void wait_and_look(std::string reason);

    Result<void> join();
    void ask_for_committed(Epoch epoch);
    void announce(Epoch epoch, const Positions& committed);
    void revoke(Epoch epoch, std::vector<TopicPartition> partitions);
    void finish_revocation(std::uint64_t revocation);
    void leave(std::function<void()> done) override;

    Committer committer_;
    const int member_;
    std::unique_ptr<Membership> membership_;  // null: not joined yet
    std::string waits_for_;
    bool stepping_back_ = false;
    std::function<void()> on_left_;  // closed while it was stepping back
    std::vector<TopicPartition> assigned_;
    Epoch epoch_;
    bool announced_ = false;
    std::uint64_t revocation_ = 0;  // counts; the one that is going on, if `revoking_`
    bool revoking_ = false;
    std::unique_ptr<Timer> deadline_;
    std::unique_ptr<Timer> retry_;
};

}  // namespace millrace::kafka
