#include "transport/kafka/watermark_poller.hpp"

#include <utility>

#include "core/log.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kInterval{1'000};
constexpr milliseconds kSoon{
    20};  // after a new partition, so that those of one assignment share the question
constexpr milliseconds kTimeout{3'000};

}  // namespace

WatermarkPoller::WatermarkPoller(Runtime& runtime, Helpers& helpers,
                                 std::function<ClientPtr()> client, Trouble& trouble)
    : runtime_(runtime),
      helpers_(helpers),
      lane_(helpers.make_lane()),
      client_(std::move(client)),
      trouble_(trouble) {
    schedule(kInterval);
}

void WatermarkPoller::watch(const TopicPartition& origin) {
    if (++watched_[origin].watchers == 1) schedule(kSoon);
}

void WatermarkPoller::unwatch(const TopicPartition& origin) {
    const auto found = watched_.find(origin);
    if (found != watched_.end() && --found->second.watchers == 0) watched_.erase(found);
}

std::optional<Watermarks> WatermarkPoller::get(const TopicPartition& origin) const {
    const auto found = watched_.find(origin);
    return found == watched_.end() ? std::nullopt : found->second.watermarks;
}

void WatermarkPoller::stop() {
    stopped_ = true;
    timer_.reset();
}

void WatermarkPoller::schedule(milliseconds delay) {
    if (stopped_ || asking_) return;
    timer_ = runtime_.loop().after(delay, [this] { poll(); });
}

void WatermarkPoller::poll() {
    if (watched_.empty() && !trouble_.brokers_are_away()) return schedule(kInterval);
    std::vector<TopicPartition> origins;
    for (const auto& [origin, watched] : watched_) origins.push_back(origin);
    asking_ = true;
    auto ask = [client = client_(), origins = std::move(origins)]() -> Answer {
        if (!origins.empty()) return query_watermarks(client->handle(), origins, kTimeout);
        const auto counts = query_partition_counts(client->handle(), kTimeout);
        if (!counts) return counts.error();
        return std::map<TopicPartition, Watermarks>{};
    };
    helpers_.run(lane_, std::move(ask), [this, alive = alive_](const Answer& answer) {
        if (!*alive) return;
        asking_ = false;
        take(answer);
        schedule(kInterval);
    });
}

void WatermarkPoller::take(const Answer& answer) {
    if (!answer) return log::debug("kafka", "watermarks: {}", answer.error().message);
    trouble_.brokers_answered();
    for (const auto& [origin, watermarks] : *answer) {
        const auto found = watched_.find(origin);
        if (found != watched_.end()) found->second.watermarks = watermarks;
    }
}

}  // namespace millrace::kafka
