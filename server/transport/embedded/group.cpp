#include "transport/embedded/group.hpp"

#include <algorithm>
#include <utility>

namespace millrace::embedded {

void Groups::join(std::shared_ptr<Subscriber> member) {
    const std::string name = member->subscription().group;
    groups_[name].members.push_back(std::move(member));
    request(name);
}

void Groups::leave(const Subscriber* member) {
    for (auto& [name, group] : groups_) {
        const auto left = std::erase_if(
            group.members, [&](const auto& candidate) { return candidate.get() == member; });
        if (left > 0) request(name);
    }
}

void Groups::rebalance_all() {
    for (const auto& [name, group] : groups_) request(name);
}

void Groups::request(const std::string& name) {
    Group& group = groups_[name];
    if (std::exchange(group.requested, true) || group.running) return;
    context_.store.post_to_loop([this, name] { rebalance(name); });
}

std::map<const Subscriber*, Groups::Share> Groups::divide(const Group& group) const {
    std::map<const Subscriber*, Share> shares;
    std::map<std::string, std::vector<const Subscriber*>> readers;
    for (const auto& member : group.members) {
        for (const std::string& topic : member->subscription().topics)
            readers[topic].push_back(member.get());
    }
    for (const auto& [topic, members] : readers) {
        const auto index = context_.view.index_of(topic);
        if (!index) continue;
        const std::size_t partitions = context_.view.at(*index).partitions.size();
        std::size_t next = 0;
        for (std::size_t i = 0; i < members.size(); ++i) {
            const std::size_t extra = i < partitions % members.size() ? 1 : 0;
            for (std::size_t n = partitions / members.size() + extra; n > 0; --n) {
                shares[members[i]].insert({topic, Partition{static_cast<std::int32_t>(next)}});
                ++next;
            }
        }
    }
    return shares;
}

void Groups::rebalance(const std::string& name) {
    Group& group = groups_[name];
    group.requested = false;
    group.running = true;
    group.changing.clear();
    auto shares = divide(group);
    std::vector<std::shared_ptr<Subscriber>> changing;
    for (const auto& member : group.members) {
        if (member->assigned() == shares[member.get()]) continue;
        changing.push_back(member);
        group.changing.push_back(member);
    }
    // The one more holds the hand-out back until every member was asked.
    group.holding = changing.size() + 1;
    for (const auto& member : changing) member->revoke([this, name] { let_go(name); });
    let_go(name);
}

void Groups::let_go(const std::string& name) {
    if (--groups_[name].holding > 0) return;
    context_.commits.flush([this, name] { hand_out(name); });
}

// Members may have come and gone since they were asked; then the shares are made anew.
void Groups::hand_out(const std::string& name) {
    Group& group = groups_[name];
    if (!group.requested) {
        auto shares = divide(group);
        for (const auto& weak : std::exchange(group.changing, {})) {
            const auto member = weak.lock();
            if (!member) continue;
            const Share& share = shares[member.get()];
            member->assign(std::vector<TopicPartition>(share.begin(), share.end()));
        }
    }
    group.running = false;
    if (group.requested) {
        group.requested = false;
        request(name);
        return;
    }
    if (group.members.empty()) groups_.erase(name);
}

}  // namespace millrace::embedded
