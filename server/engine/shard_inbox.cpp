// The inbox of a shard: records that failed here and come back.
#include <utility>

#include "engine/router.hpp"
#include "engine/shard.hpp"

namespace millrace::engine {

void Shard::redrive(RedriveRecord record, std::function<void(Result<void>)> done) {
    setup_.strand->post(
        [self = shared_from_this(), record = std::move(record), done = std::move(done)]() mutable {
            self->incoming_.push_back({std::move(record), std::move(done)});
            if (self->closed_ || self->failed_)
                return self->refuse_incoming(fail(ErrorCode::kUnavailable, "the shard is closed"));
            self->schedule();
        });
}

void Shard::refuse_incoming(const Error& error) {
    for (auto& incoming : std::exchange(incoming_, {}))
        on_loop([done = std::move(incoming.done), error](ShardOwner&) { done(error); });
    for (auto& batch : committed_) {
        for (auto& incoming : std::exchange(batch.incoming, {}))
            on_loop([done = std::move(incoming.done), error](ShardOwner&) { done(error); });
    }
}

Result<void> Shard::save_incoming() {
    for (const auto& incoming : incoming_) {
        auto added = state_->add_inbox(incoming.record);
        if (!added) return added;
    }
    return {};
}

// Its rows in their order, as many at a time as may be pending, and one above the bytes that may
// be read ahead.
void Shard::load_inbox() {
    if (!state_ || closed_ || failed_) return;
    while (inbox_loaded_ < setup_.section.max_in_flight &&
           inbox_bytes_ < setup_.section.max_buffered_bytes) {
        auto rows = state_->inbox_after(inbox_last_, 1);
        if (!rows) return fail_shard(rows.error());
        if (rows->empty()) break;
        add_inbox_row(std::move(rows->front()));
        if (failed_) return;
    }
    if (auto count = state_->inbox_count()) gauges_.inbox = *count;
    schedule();
}

void Shard::add_inbox_row(InboxRow row) {
    inbox_last_ = row.sequence;
    ++inbox_loaded_;
    auto input = std::make_unique<Input>();
    input->inbox = row.sequence;
    input->redrives = row.record.redrives;
    input->batch =
        decode(setup_.reader, setup_.factory->traits().raw, batch_of(std::move(row.record)));
    input->event = &input->batch->events.front();
    input->bytes = bytes_of(*input->event->record);
    inbox_bytes_ += input->bytes;
    if (ring_of(input->origin().topic) == nullptr) return;
    const std::string lane = lane_key(*input);
    add(lane, std::move(input));
}

}  // namespace millrace::engine
