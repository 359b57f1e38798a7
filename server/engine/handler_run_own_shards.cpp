// The shards of a handler whose state is per partition. They are opened where there is state, and
// stay open when the partition goes to another member: what waits in one to be sent, and its
// timers, are nobody else's.
#include <fmt/format.h>

#include <algorithm>

#include "core/sqlite/files.hpp"
#include "engine/handler_run.hpp"

namespace millrace::engine {
namespace {

constexpr milliseconds kAskAgain{1'000};

std::string shard_name(const TopicPartition& origin) {
    return fmt::format("{}-{}", origin.topic, origin.partition.value);
}

}  // namespace

void HandlerRun::open_partition_shard(const TopicPartition& origin) {
    const OwnShard& own = own_shard(origin);
    partitions_.at(origin).shard = own.index;
    if (own.open) begin_partition(origin);
}

// Opens it unless it is open or about to be.
HandlerRun::OwnShard& HandlerRun::own_shard(const TopicPartition& origin) {
    const auto found = own_shards_.find(origin);
    if (found != own_shards_.end()) return found->second;
    const auto shard = make_shard(shard_name(origin));
    OwnShard& own = own_shards_.emplace(origin, OwnShard{shards_.size() - 1, false}).first->second;
    shard->open([this, origin](const Result<void>& opened) { opened_own_shard(origin, opened); });
    return own;
}

void HandlerRun::opened_own_shard(const TopicPartition& origin, const Result<void>& opened) {
    if (state_ != RunState::kRunning) return;
    if (!opened) return fail_shard(opened.error());
    own_shards_.at(origin).open = true;
    const auto waiting = partitions_.find(origin);
    if (waiting != partitions_.end() && waiting->second.shard && !waiting->second.let_go)
        begin_partition(origin);
}

// Of partitions that were read here once, whoever has them now.
void HandlerRun::open_own_shards() {
    surroundings_.transport.topics(
        [this, alive = weak_from_this()](const Result<std::vector<TopicInfo>>& topics) {
            const auto self = alive.lock();
            if (!self || state_ != RunState::kRunning) return;
            if (topics) return open_where_there_is_state(*topics);
            own_shards_timer_ =
                surroundings_.runtime.loop().after(kAskAgain, [this] { open_own_shards(); });
        });
}

void HandlerRun::open_where_there_is_state(const std::vector<TopicInfo>& topics) {
    std::vector<TopicPartition> all;
    for (const auto& topic : topics) {
        if (std::ranges::find(section().topics, topic.name) == section().topics.end()) continue;
        for (int i = 0; i < topic.partitions; ++i) all.push_back({topic.name, {i}});
    }
    files_->post([this, all] {
        std::vector<TopicPartition> there;
        for (const auto& origin : all) {
            const std::string path = fmt::format("{}/{}.db", directory(), shard_name(origin));
            const auto exists = sqlite::database_exists(path, surroundings_.vfs);
            if (exists && *exists) there.push_back(origin);
        }
        surroundings_.runtime.loop().post([this, there] {
            if (state_ != RunState::kRunning) return;
            for (const auto& origin : there) own_shard(origin);
        });
    });
}

}  // namespace millrace::engine
