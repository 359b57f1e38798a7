// An exclusive subscription: the state of a partition stays with the installation that made it, so
// that a second server in the group would begin without it. Whoever comes later waits.
#include <fmt/format.h>

#include "core/log.hpp"
#include "transport/kafka/group_consumer.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kQueryTimeout{5'000};
constexpr milliseconds kLookInterval{1'000};

std::string reason_of(const std::string& group, const std::vector<GroupMember>& others) {
    std::string names;
    for (const auto& other : others)
        names += fmt::format("{}{} at {}", names.empty() ? "" : ", ", other.instance, other.host);
    return fmt::format(
        "waits: the group {} has {}, another server with state of its own. Stop that one (its "
        "session may take a while to end), or set `cluster: accept_unmoved_state`",
        group, names);
}

}  // namespace

bool GroupConsumer::is_exclusive() const {
    return subscription().exclusive &&
           !context().settings.instance_id(subscription().group).empty();
}

void GroupConsumer::look_around(std::function<void(const std::vector<GroupMember>&)> then) {
    auto work = [client = fetch_client(), group = subscription().group] {
        return query_members(client->handle(), group, kQueryTimeout);
    };
    ask(std::move(work), [this, then = std::move(then)](Result<std::vector<GroupMember>> members) {
        if (closing()) return;
        if (!members) {
            retry_ =
                context().runtime.loop().after(kLookInterval, [this, then] { look_around(then); });
            waits_for_ = members.error().message;
            return;
        }
        const std::string own = context().settings.instance_id(subscription().group);
        then(others_than(own, std::move(*members)));
    });
}

void GroupConsumer::join_when_alone() {
    look_around([this](const std::vector<GroupMember>& others) {
        if (!others.empty()) return wait_and_look(reason_of(subscription().group, others));
        if (!waits_for_.empty()) log::info("kafka", "group {}: free to join", subscription().group);
        waits_for_.clear();
        auto joined = join();
        if (!joined) fail_for_good(joined.error());
    });
}

void GroupConsumer::wait_and_look(std::string reason) {
    if (waits_for_ != reason) log::warn("kafka", "{}", reason);
    waits_for_ = std::move(reason);
    retry_ = context().runtime.loop().after(kLookInterval, [this] { join_when_alone(); });
}

// Of two that found the group empty at the same time, the one whose name comes first stays. Asked at
// each assignment: the other one may have come after the first.
void GroupConsumer::settle_who_stays(Epoch epoch) {
    look_around([this, epoch](const std::vector<GroupMember>& others) {
        if (revoking_ || epoch != epoch_ || assigned_.empty()) return;
        const std::string own = context().settings.instance_id(subscription().group);
        if (!others.empty() && others.front().instance < own) return step_back();
        waits_for_.clear();
        ask_for_committed(epoch);
    });
}

void GroupConsumer::step_back() {
    log::warn("kafka", "group {}: another server joined at the same time and goes first",
              subscription().group);
    give_up(assigned_);
    assigned_.clear();
    stepping_back_ = true;
    membership_->close([this, alive = alive()] {
        if (!*alive) return;
        stepping_back_ = false;
        membership_.reset();
        if (on_left_) return std::exchange(on_left_, nullptr)();
        join_when_alone();
    });
}

}  // namespace millrace::kafka
