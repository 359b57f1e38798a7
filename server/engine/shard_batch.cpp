// A batch of a shard: one transaction for many inputs, and what is released when it is durable.
#include <fmt/format.h>

#include <algorithm>

#include "core/kill_point.hpp"
#include "engine/backoff.hpp"
#include "engine/schema_upgrade.hpp"
#include "engine/shard.hpp"

namespace millrace::engine {
namespace {

// The handler had its say, and did not fail.
bool is_success(Verdict verdict) {
    return verdict == Verdict::kAcked || verdict == Verdict::kIgnored;
}

}  // namespace

void Shard::wake() {
    setup_.strand->post([self = shared_from_this()] { self->schedule(); });
}

void Shard::schedule() {
    if (scheduled_ || paused_ || closed_ || failed_ || (!has_work() && !swap_)) return;
    scheduled_ = true;
    setup_.strand->post([self = shared_from_this()] {
        self->scheduled_ = false;
        if (!self->closed_ && !self->failed_ && !self->paused_ && self->has_work())
            self->run_batch();
        self->check_swap();
        self->check_drained();
    });
}

bool Shard::has_work() const {
    return (lanes_.any_ready() && !is_full()) || !touched_.empty() || attempts_.changed() ||
           !incoming_.empty() || !handled_.empty() || (events_ && events_->has_confirmed()) ||
           (calls_ && calls_->has_tries());
}

void Shard::run_batch() {
    batch_started_ = setup_.runtime.clock().monotonic();
    if (state_) {
        auto begun = state_->begin();
        if (!begun) return pause(begun.error());
    }
    run_inputs();
}

void Shard::run_inputs() {
    for (std::size_t i = 0; i < setup_.section.max_batch && !failed_ && !is_full(); ++i) {
        Input* input = lanes_.next();
        if (input == nullptr) break;
        if (waits_for_swap(*input)) continue;
        switch (process(*input)) {
            case Step::kNext:
                continue;
            case Step::kTransactionLost:
                replay_batch();
                return schedule();
            case Step::kDiskFailed:
                lanes_.wake(*input);
                return pause(disk_error());
        }
    }
    if (!failed_) finish_batch();
}

void Shard::finish_batch() {
    std::map<Verdict, std::size_t> counts;
    auto saved = save_batch(counts);
    if (saved && state_) saved = state_->commit();
    if (!saved) return fail_shard(saved.error());
    kill_point("after_effects_commit");
    for (auto& [topic, ring] : rings_) ring->commit();
    for (const auto& from : std::exchange(new_events_, {})) events_->added(from);
    attempts_.saved();
    const bool inbox_changed = !incoming_.empty() || inbox_done_ > 0;
    inbox_loaded_ -= std::exchange(inbox_done_, 0);
    inbox_bytes_ -= std::exchange(inbox_done_bytes_, 0);
    committed_.push_back({make_release(), std::exchange(incoming_, {}),
                          state_ ? state_->last_sequence() : 0, batch_started_});
    if (std::exchange(pauses_, 0) > 0) tell_disk("");
    if (!handled_.empty() || !counts.empty()) {
        on_loop(
            [handled = std::exchange(handled_, {}), counts = std::move(counts)](ShardOwner& owner) {
                owner.on_handled(handled);
                owner.on_verdicts(counts);
            });
    }
    if (std::exchange(timers_changed_, false)) arm_timers();
    if (inbox_changed) load_inbox();
    start_sync();
    schedule();
}

Result<void> Shard::save_batch(std::map<Verdict, std::size_t>& counts) {
    std::map<std::pair<std::string_view, Verdict>, std::size_t> per_topic;
    const TopicPartition* origin = nullptr;
    OriginState* state = nullptr;
    HandledCounts* handled = nullptr;
    for (const auto& resolved : done_) {
        const Input& input = *resolved.input;
        attempts_.drop(input);
        if (input.inbox != 0) {
            ++inbox_done_;
            inbox_done_bytes_ += input.bytes;
        }
        if (!input.from_log()) {  // a timer or a response: it has no position
            if (resolved.verdict == Verdict::kDeadLettered) ++counts[resolved.verdict];
            continue;
        }
        if (origin != &input.origin()) {  // the inputs of one batch come in runs
            origin = &input.origin();
            state = &origin_state(*origin);
            touched_.insert(*origin);
            handled = &handled_[*origin];
        }
        account(resolved, *state);
        if (is_success(resolved.verdict)) ++handled->succeeded;
        ++counts[resolved.verdict];
        ++per_topic[{origin->topic, resolved.verdict}];
    }
    for (const auto& [which, records] : per_topic)
        setup_.metrics.count(std::string(which.first), which.second, records);
    if (!state_) return {};
    auto kept = attempts_.save(*state_);
    if (kept) kept = save_incoming();
    if (!kept) return kept;
    for (const auto& touched : touched_) {
        auto saved = state_->save_origin(origin_state(touched));
        if (!saved) return saved;
    }
    for (auto& [topic, ring] : rings_) {
        auto saved = state_->save_ring(topic, *ring);
        if (!saved) return saved;
    }
    return save_confirmed();
}

void Shard::account(const Resolved& resolved, OriginState& state) {
    const Offset offset = resolved.input->event->record->offset;
    state.tracker.resolve(offset);
    state.counts.last = std::max(state.counts.last, offset);
    switch (resolved.verdict) {
        case Verdict::kAcked:
            ++state.counts.acked;
            return;
        case Verdict::kIgnored:
        case Verdict::kSkipped:
            ++state.counts.skipped;
            return;
        case Verdict::kDuplicate:
            ++state.counts.duplicates;
            return;
        case Verdict::kDeadLettered:
            ++state.counts.dead_lettered;
            return;
    }
}

Result<void> Shard::save_confirmed() {
    const auto confirmed = events_->take_confirmed();
    for (const auto& [sequence, from] : confirmed) {
        auto removed = state_->remove_event(sequence);
        if (!removed) return removed;
        if (from.offset.value >= 0)
            touched_.insert(from.origin);  // its published position may move
    }
    for (const auto& [sequence, tries] : calls_->take_tries()) {
        auto saved = state_->save_call_tries(sequence, tries);
        if (!saved) return saved;
    }
    if (confirmed.empty() && !std::exchange(outbox_changed_, false)) return {};
    auto noted = state_->note_last_sequence();
    if (!noted) return noted;
    return count_outbox();
}

Result<void> Shard::count_outbox() {
    auto outbox = state_->outbox();
    if (!outbox) return outbox.error();
    gauges_.outbox = outbox->rows;
    gauges_.outbox_oldest_us = outbox->oldest_us;
    return {};
}

ShardRelease Shard::make_release() {
    ShardRelease release;
    for (const auto& origin : std::exchange(touched_, {})) {
        release.reports.emplace_back(origin, report_of(origin));
    }
    release.records = std::exchange(dropped_records_, 0);
    release.bytes = std::exchange(dropped_bytes_, 0);
    for (const auto& resolved : done_) {
        if (!resolved.input->from_log()) continue;
        ++release.records;
        release.bytes += resolved.input->bytes;
        release.record_times.push_back(resolved.input->event->record->timestamp);
    }
    done_.clear();
    return release;
}

ShardReport Shard::report_of(const TopicPartition& origin) {
    ShardReport report;
    report.shard = setup_.index;
    if (events_) report.lowest_unsent = events_->lowest_unsent(origin);
    report.unsent_only = forgotten_.contains(origin) || !received_sequence_.contains(origin);
    if (report.unsent_only) return report;
    const OffsetTracker& tracker = origin_state(origin).tracker;
    report.received_sequence = received_sequence_[origin];
    report.lowest_unresolved = tracker.lowest_unresolved();
    report.intervals = tracker.interval_count();
    if (report.lowest_unresolved) report.holder = holder_of(origin, *report.lowest_unresolved);
    return report;
}

// The transaction is gone: what had been done in it is undone and is run again, without the input
// whose fault it was.
void Shard::replay_batch() {
    if (state_) state_->roll_back();
    for (auto& [topic, ring] : rings_) ring->roll_back();
    while (!done_.empty()) {
        Resolved& last = done_.back();
        // What was resolved without a call had none to take back.
        if (last.input->state == InputState::kReady && is_success(last.verdict))
            --last.input->attempt;
        if (last.input->timer)
            loaded_timers_.emplace(last.input->timer->id, last.input->timer->firing);
        const std::string lane = lane_key(*last.input);
        lanes_.put_back(lane, std::move(last.input));
        done_.pop_back();
    }
    new_events_.clear();
    timers_changed_ = false;
    inbox_done_ = inbox_done_bytes_ = 0;
    const bool rolled_back = [this] {
        const CallScope noted = note_call(CallKind::kRollback);
        return instance_->on_rollback(HandlerInstance::RollbackScope::kBatch);
    }();
    if (rolled_back) return;
    services_->drop_statements();
    auto renewed = renew_instance();
    if (!renewed) fail_shard(renewed.error());
}

// The disk is full or failing: nobody's fault. Everything is undone and tried again after a while;
// what is held for it is let go by the next commit.
void Shard::pause(const Error& why) {
    if (why.code == ErrorCode::kCorrupt) return fail_shard(why);
    replay_batch();
    if (failed_) return;
    paused_ = true;
    const auto delay = backoff(kOutsideRetry, ++pauses_, setup_.runtime.random());
    const std::string reason = fmt::format("shard {} pauses for {} ms: {}", setup_.identity.shard,
                                           delay.count(), with_remedy(why, setup_.path).message);
    log::error("engine", "{}: {}", setup_.identity.handler, reason);
    tell_disk(reason);
    pause_timer_ = setup_.strand->after(delay, [this] {
        paused_ = false;
        if (!has_work()) tell_disk("");
        schedule();
    });
}

Error Shard::disk_error() const {
    if (auto noted = services_->disk_error()) return *noted;
    return state_->database().last_error("a statement of the engine");
}

void Shard::tell_disk(const std::string& reason) {
    on_loop([index = setup_.index, reason](ShardOwner& owner) {
        owner.on_held(index, "disk", reason);
    });
}

void Shard::start_sync() {
    if (syncing_ || committed_.empty() || closed_) return;
    if (!state_) return synced(committed_.size(), {});
    syncing_ = true;
    gauges_.sync_started_ns = setup_.runtime.clock().monotonic().count();
    setup_.syncer.sync(
        state_->database(), setup_.strand,
        [self = shared_from_this(), batches = committed_.size()](const Result<void>& result) {
            self->syncing_ = false;
            self->gauges_.sync_started_ns = 0;
            self->synced(batches, result);
            self->check_drained();
        });
}

void Shard::synced(std::size_t batches, const Result<void>& result) {
    if (closed_) return;
    if (!result) return fail_shard(result.error());
    const auto now = setup_.runtime.clock().monotonic();
    const auto end = committed_.begin() + static_cast<std::ptrdiff_t>(batches);
    for (auto batch = committed_.begin(); batch != end; ++batch) {
        durable_sequence_ = std::max(durable_sequence_, batch->sequence);
        setup_.metrics.commit_seconds->observe(
            std::chrono::duration<double>(now - batch->started).count());
        observe_ages(batch->release);
        on_loop([index = setup_.index, release = std::move(batch->release),
                 incoming = std::move(batch->incoming)](ShardOwner& owner) {
            owner.on_shard_released(index, release);
            for (const auto& one : incoming) one.done({});
        });
        if (batch->durable) batch->durable();
    }
    committed_.erase(committed_.begin(), end);
    after_release();
    start_sync();
}

void Shard::observe_ages(const ShardRelease& release) {
    const auto now = setup_.runtime.clock().now();
    for (const Timestamp time : release.record_times) {
        const std::chrono::duration<double> age = now - time;
        setup_.metrics.end_to_end_seconds->observe(std::max(0.0, age.count()));
    }
}

void Shard::after_release() {
    if (!state_ || failed_) return;
    events_->send_up_to(durable_sequence_);
    calls_->send_up_to(durable_sequence_);
}

}  // namespace millrace::engine
