#include "transport/kafka/group_consumer.hpp"

#include <fmt/format.h>

#include <utility>

#include "core/log.hpp"
#include "transport/kafka/errors.hpp"
#include "transport/kafka/queries.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kQueryTimeout{5'000};
constexpr milliseconds kRetryInterval{500};

std::string names_of(const std::vector<TopicPartition>& origins) {
    std::string names;
    for (const auto& origin : origins) names += (names.empty() ? "" : " ") + to_string(origin);
    return names.empty() ? "nothing" : names;
}

}  // namespace

GroupConsumer::GroupConsumer(const ConsumerContext& context, const Subscription& subscription,
                             ConsumerListener& listener, ClientPtr fetch_client, int member)
    : FetchingConsumer(context, subscription, listener, std::move(fetch_client)),
      committer_(context.runtime.loop(),
                 [this](const Positions& positions) {
                     return membership_ && membership_->commit(positions);
                 }),
      member_(member) {}

GroupConsumer::~GroupConsumer() = default;

Result<std::unique_ptr<Consumer>> GroupConsumer::make(const ConsumerContext& context,
                                                      const Subscription& subscription,
                                                      ConsumerListener& listener,
                                                      ClientPtr fetch_client, int member) {
    std::unique_ptr<GroupConsumer> consumer(
        new GroupConsumer(context, subscription, listener, std::move(fetch_client), member));
    if (consumer->is_exclusive()) {
        consumer->join_when_alone();
    } else if (auto joined = consumer->join(); !joined) {
        return joined.error();
    }
    return std::unique_ptr<Consumer>(std::move(consumer));
}

Result<void> GroupConsumer::join() {
    auto membership = Membership::join(context().runtime,
                                       context().settings.member(subscription().group, member_),
                                       subscription().topics, context().reaper, *this);
    if (!membership) return membership.error();
    membership_ = std::move(*membership);
    return {};
}

void GroupConsumer::on_given(std::vector<TopicPartition> partitions) {
    log::info("kafka", "group {}: assigned {}", subscription().group, names_of(partitions));
    context().trouble.clear("group " + subscription().group);
    assigned_ = std::move(partitions);
    epoch_ = hold(assigned_);
    announced_ = false;
    if (assigned_.empty()) return;
    if (is_exclusive()) return settle_who_stays(epoch_);
    ask_for_committed(epoch_);
}

void GroupConsumer::ask_for_committed(Epoch epoch) {
    auto work = [client = membership_->client(), origins = assigned_] {
        return query_committed(client->handle(), origins, kQueryTimeout);
    };
    ask(std::move(work), [this, epoch](const Result<Positions>& committed) {
        if (closing() || revoking_ || epoch != epoch_ || assigned_.empty()) return;
        if (committed) return announce(epoch, *committed);
        context().trouble.report("group " + subscription().group, committed.error().message);
        retry_ = context().runtime.loop().after(kRetryInterval, [this, epoch] {
            if (!closing() && !revoking_ && epoch == epoch_) ask_for_committed(epoch);
        });
    });
}

void GroupConsumer::announce(Epoch epoch, const Positions& committed) {
    std::vector<Assigned> partitions;
    for (const auto& origin : assigned_) {
        const auto found = committed.find(origin);
        Assigned assigned{origin, std::nullopt};
        if (found != committed.end()) {
            assigned.committed = found->second;
            committer_.know(origin, found->second);
        }
        partitions.push_back(std::move(assigned));
    }
    announced_ = true;
    context().trouble.clear("group " + subscription().group);
    listener().on_assigned(epoch, partitions);
}

void GroupConsumer::on_taken(std::vector<TopicPartition> partitions, bool lost) {
    log::info("kafka", "group {}: {} {}", subscription().group, lost ? "lost" : "gives up",
              names_of(partitions));
    if (announced_ && !lost && !partitions.empty()) return revoke(epoch_, std::move(partitions));
    const bool tell = announced_ && !partitions.empty();
    give_up(partitions);
    committer_.forget(partitions);
    assigned_.clear();
    membership_->release();
    if (tell) listener().on_lost(epoch_, partitions);
}

void GroupConsumer::revoke(Epoch epoch, std::vector<TopicPartition> partitions) {
    revoking_ = true;
    const std::uint64_t revocation = ++revocation_;
    mute(partitions);
    auto done = [this, alive = alive(), revocation, &loop = context().runtime.loop()] {
        loop.post([this, alive, revocation] {
            if (*alive) finish_revocation(revocation);
        });
    };
    deadline_ = context().runtime.loop().after(
        context().settings.section().drain_timeout, [this, revocation] {
            log::warn("kafka",
                      "group {}: partitions are given up before they were drained; what was not "
                      "committed is processed again elsewhere",
                      subscription().group);
            finish_revocation(revocation);
        });
    listener().on_revoked(epoch, partitions, std::move(done));
}

void GroupConsumer::finish_revocation(std::uint64_t revocation) {
    if (!revoking_ || revocation != revocation_ || closing()) return;
    ++revocation_;
    deadline_.reset();
    committer_.flush([this, alive = alive()] {
        if (!*alive || closing()) return;
        revoking_ = false;
        committer_.forget(assigned_);
        give_up(assigned_);
        assigned_.clear();
        membership_->release();
    });
}

void GroupConsumer::on_membership_error(rd_kafka_resp_err_t code, const std::string& reason) {
    context().trouble.broker_error(code, reason);
    report(code, "group " + subscription().group, reason);
}

void GroupConsumer::commit(const TopicPartition& origin, Offset position) {
    if (holds(origin) && !closing()) committer_.set(origin, position);
}

void GroupConsumer::leave(std::function<void()> done) {
    deadline_.reset();
    retry_.reset();
    if (stepping_back_) {
        on_left_ = std::move(done);
        return;
    }
    if (!membership_) return context().runtime.loop().post(std::move(done));
    committer_.flush([this, alive = alive(), done = std::move(done)]() mutable {
        if (!*alive) return;
        if (revoking_) membership_->release();
        membership_->close(std::move(done));
    });
}

}  // namespace millrace::kafka
