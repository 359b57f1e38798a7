#include "transport/embedded/log_view.hpp"

#include <algorithm>
#include <utility>

namespace millrace::embedded {
namespace {

// What a chunk of one small record costs besides its bytes.
constexpr std::size_t kChunkOverhead = 128;

std::size_t cost(const Chunk& chunk) { return chunk.data->size() + kChunkOverhead; }

}  // namespace

Result<void> PartitionView::read(Offset from, BatchBuilder& batch) const {
    const auto above = std::ranges::upper_bound(tail_, from, {}, &Chunk::base);
    for (auto chunk = std::prev(above); chunk != tail_.end() && !batch.full(); ++chunk) {
        if (auto done = batch.add(*chunk); !done) return done;
    }
    return {};
}

void PartitionView::append(Chunk chunk, std::size_t max_tail_bytes) {
    ends_.high = chunk.end();
    tail_bytes_ += cost(chunk);
    tail_.push_back(std::move(chunk));
    while (tail_bytes_ > max_tail_bytes && tail_.size() > 1) {
        tail_bytes_ -= cost(tail_.front());
        tail_.pop_front();
    }
}

void PartitionView::reset(Watermarks ends) {
    ends_ = ends;
    tail_.clear();
    tail_bytes_ = 0;
}

void LogView::reset(const std::vector<TopicState>& topics) {
    topics_.clear();
    index_.clear();
    for (const TopicState& topic : topics) {
        index_.emplace(topic.name, static_cast<std::uint32_t>(topics_.size()));
        TopicView& view = topics_.emplace_back();
        view.name = topic.name;
        view.max_record_bytes = topic.max_record_bytes;
        for (const Watermarks& ends : topic.partitions) view.partitions.emplace_back(ends);
    }
}

void LogView::append(AppendedChunk appended) {
    const auto partition = static_cast<std::size_t>(appended.chunk.partition.value);
    topics_[appended.topic].partitions[partition].append(std::move(appended.chunk.chunk),
                                                         max_tail_bytes_);
}

void LogView::recover(const MovedEnds& ends) {
    for (std::size_t i = 0; i < ends.partitions.size(); ++i)
        topics_[ends.topic].partitions[i].reset(ends.partitions[i]);
}

void LogView::move_low(const MovedEnds& ends) {
    for (std::size_t i = 0; i < ends.partitions.size(); ++i)
        topics_[ends.topic].partitions[i].set_low(ends.partitions[i].low);
}

std::optional<std::uint32_t> LogView::index_of(std::string_view topic) const {
    const auto found = index_.find(topic);
    return found == index_.end() ? std::nullopt : std::optional(found->second);
}

PartitionView* LogView::find(const TopicPartition& origin) {
    const auto index = index_of(origin.topic);
    if (!index) return nullptr;
    auto& partitions = topics_[*index].partitions;
    const auto partition = static_cast<std::size_t>(origin.partition.value);
    return partition < partitions.size() ? &partitions[partition] : nullptr;
}

}  // namespace millrace::embedded
