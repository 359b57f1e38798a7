#include "transport/embedded/commit_table.hpp"

#include "core/log.hpp"

namespace millrace::embedded {
namespace {

constexpr milliseconds kCommitInterval{50};
constexpr milliseconds kRetryInterval{1'000};

}  // namespace

void CommitTable::load(const std::vector<CommittedOffset>& offsets) {
    durable_.clear();
    for (const CommittedOffset& offset : offsets)
        durable_[{offset.group, offset.origin}] = offset.position;
}

std::optional<Offset> CommitTable::committed(const std::string& group,
                                             const TopicPartition& origin) const {
    const auto found = durable_.find({group, origin});
    return found == durable_.end() ? std::nullopt : std::optional(found->second);
}

void CommitTable::commit(const std::string& group, const TopicPartition& origin, Offset position) {
    waiting_[{group, origin}] = position;
    flush_after(kCommitInterval);
}

void CommitTable::flush_after(milliseconds delay) {
    if (timer_) return;
    timer_ = store_.runtime().loop().after(delay, [this] { flush([] {}); });
}

void CommitTable::flush(std::function<void()> done) {
    timer_.reset();
    if (waiting_.empty()) {
        // Behind the flush that may be running.
        store_.run([](LogStore&) { return true; }, [done = std::move(done)](bool) { done(); });
        return;
    }
    std::vector<CommittedOffset> offsets;
    for (const auto& [key, position] : waiting_)
        offsets.push_back({key.first, key.second, position});
    waiting_.clear();
    store_.run([offsets](LogStore& store) { return store.commit(offsets); },
               [this, offsets, done = std::move(done)](Result<void> written) {
                   finish(std::move(written), offsets);
                   done();
               });
}

void CommitTable::finish(Result<void> written, std::vector<CommittedOffset> offsets) {
    if (written) {
        trouble_.reset();
        for (const CommittedOffset& offset : offsets)
            durable_[{offset.group, offset.origin}] = offset.position;
        return;
    }
    trouble_ = "committed offsets cannot be written: " + written.error().message;
    log::error("embedded", "{}; trying again", *trouble_);
    // What was committed meanwhile is newer.
    for (const CommittedOffset& offset : offsets)
        waiting_.try_emplace({offset.group, offset.origin}, offset.position);
    flush_after(kRetryInterval);
}

}  // namespace millrace::embedded
