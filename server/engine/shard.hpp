// Shard: a share of one handler's state: its instance, its strand, its state file, its lanes. The
// unit of order and of state.
//
// Inputs wait in lanes. The shard runs what is ready, at most `max_batch` at a time, each in a
// savepoint, in one transaction with positions, identities, timers and outbox; a sync thread makes
// the commit durable while the next batch runs, and what the batch decided (positions, outbox) is
// released when the sync that covers it has ended.
//
// Thread rule: the methods under "any thread" post to the strand; everything else runs on it. The
// owner is called on the loop thread. Ownership: shared by its own tasks; `close` ends them.
// Errors: what the disk refuses ends the shard as a crash would
// (`on_shard_failed`): the owner opens a new one, and nothing is lost or applied twice.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/attempts.hpp"
#include "engine/call_slot.hpp"
#include "engine/dead_letter_writer.hpp"
#include "engine/inbox.hpp"
#include "engine/lanes.hpp"
#include "engine/outbox.hpp"
#include "engine/services.hpp"
#include "engine/shard_owner.hpp"
#include "engine/state_file.hpp"

namespace millrace::engine {

struct SubBatch {
    DecodedBatchPtr decoded;
    std::vector<std::uint32_t> events;  // indexes of the shard's own
    std::uint64_t sequence = 0;
};

// What a shard forgets of a partition.
enum class ResetScope {
    kPosition = 1,           // how far it had come: its offsets mean something else now
    kPositionAndIdentities,  // also its topic's dedupe ring: records are to be processed again
};

// How long the inputs of a shard waited while another version of its handler took over.
using SwapDone = std::function<void(Result<std::chrono::nanoseconds>)>;

class Shard final : public std::enable_shared_from_this<Shard> {
public:
    explicit Shard(ShardSetup setup);
    ~Shard();

    // Any thread; callbacks on the loop thread.
    void open(std::function<void(Result<void>)> done);
    void deliver(SubBatch batch);
    // Lets go of what is not resolved of these partitions. What was decided before is reported,
    // what follows is not: the shard no longer knows what is open.
    void forget(std::vector<TopicPartition> origins, std::function<void()> done);
    // Calls back when that is durable; not if it fails, which ends the shard.
    void reset(TopicPartition origin, ResetScope scope, std::function<void()> done);
    // Calls back when nothing of these partitions (all, if there are none) runs, is ready, is
    // pending or has its dead letter on the way, and what was decided is durable and sent. What
    // waits for its next attempt is not waited for.
    void drain(std::vector<TopicPartition> origins, std::function<void()> done);
    // A record that failed here comes back: answered once it is durable in the inbox.
    void redrive(RedriveRecord record, std::function<void(Result<void>)> done);
    // The breaker of the partition: hold its records; let one through and tell how it went; let all
    // go.
    void block(TopicPartition origin);
    void probe(TopicPartition origin);
    void unblock(TopicPartition origin);
    // Whether another version of the handler takes the state of this shard: its tables are brought
    // up to date and an instance is made, and all of it undone.
    void try_version(std::shared_ptr<HandlerFactory> next, std::function<void(Result<void>)> done);
    // It takes over, between two inputs; what is pending is waited for, at most a call's `timeout`.
    // Calls back with how long inputs waited. On failure the old one goes on.
    void swap(std::shared_ptr<HandlerFactory> next, SwapDone done);
    // Looks again whether something can run.
    void wake();
    void close(std::function<void()> done);
    void query(std::string question, std::vector<std::pair<std::string, std::string>> parameters,
               std::function<void(Result<std::string>)> done);
    // The call that is over its time, if there is one: its SQL is interrupted. Any thread.
    std::optional<CallSlot::Running> watch();
    const ShardGauges& gauges() const { return gauges_; }
    const ShardIdentity& identity() const { return setup_.identity; }

private:
    static constexpr std::size_t kTimerBatch = 500;  // due timers loaded at a time

    enum class Step { kNext = 1, kTransactionLost, kDiskFailed };
    struct Resolved {
        InputPtr input;
        Verdict verdict;
    };
    struct Incoming {
        RedriveRecord record;
        std::function<void(Result<void>)> done;
    };
    struct Gate {  // of a partition whose breaker is open
        std::chrono::nanoseconds since{0};
        bool probing = false;
        Offset probed{-1};  // the last one that was let through
    };
    struct Swap {  // asked for, and not yet done
        std::shared_ptr<HandlerFactory> next;
        SwapDone done;
        std::chrono::nanoseconds since{0};
        std::unique_ptr<Timer> patience;
    };
    struct Drain {
        std::vector<TopicPartition> origins;  // empty: all
        std::function<void()> done;
    };
    struct Committed {
        ShardRelease release;
        std::vector<Incoming> incoming;  // to be answered
        std::int64_t sequence = 0;
        std::chrono::nanoseconds started{0};
        std::function<void()> durable{};  // called then
    };

    // Opening and closing (shard.cpp).
    Result<void> open_now();
    Result<void> migrate();
    Result<void> load();
    Result<void> upgrade_tables(HandlerFactory& factory);
    Result<void> renew_instance();
    Result<std::unique_ptr<HandlerInstance>> make_instance(HandlerFactory& factory);
    void stop_instance(std::unique_ptr<HandlerInstance>& instance);
    void fail_shard(const Error& error);
    void close_now();
    void make_interruptible(sqlite::Database* database);
    template <class Call>
    void on_loop(Call call) {
        setup_.runtime.loop().post([self = shared_from_this(), call = std::move(call)]() mutable {
            call(self->setup_.owner);
        });
    }

    // Records, timers and responses come in (shard_intake.cpp).
    void receive(const SubBatch& batch);
    void add_record(const DecodedBatchPtr& batch, const DecodedEvent& event,
                    std::string_view fallback);
    Input& add(std::string_view lane, InputPtr input);
    OriginState& origin_state(const TopicPartition& origin);
    DedupeRing* ring_of(const std::string& topic);
    void arm_timers();
    void load_due_timers();
    void forget_now(const std::vector<TopicPartition>& origins);
    Result<void> reset_now(const TopicPartition& origin, ResetScope scope);

    // The inbox (shard_inbox.cpp).
    Result<void> save_incoming();
    void load_inbox();
    void add_inbox_row(InboxRow row);
    void refuse_incoming(const Error& error);

    // Letting go in good order (shard_drain.cpp).
    bool is_busy(const Drain& drain) const;
    void check_drained();

    // Another version of the handler (shard_swap.cpp).
    Result<std::unique_ptr<HandlerInstance>> adopt(HandlerFactory& next);
    bool waits_for_swap(const Input& input) const;
    void check_swap();
    void swap_now();
    void give_up_pending();
    void refuse_swap(const Error& error);

    // A batch (shard_batch.cpp).
    void schedule();
    void run_batch();
    bool has_work() const;
    void run_inputs();
    void finish_batch();
    Result<void> save_batch(std::map<Verdict, std::size_t>& counts);
    Result<void> save_confirmed();
    Result<void> count_outbox();
    bool is_full() const { return setup_.in_flight >= setup_.section.max_in_flight; }
    static void account(const Resolved& resolved, OriginState& state);
    std::string lane_key(const Input& input) const;
    std::string_view lane_of_record(const DecodedEvent& event, std::string_view partition) const;
    ShardRelease make_release();
    ShardReport report_of(const TopicPartition& origin);
    void report_unsent();
    void replay_batch();
    void pause(const Error& why);
    Error disk_error() const;
    void tell_disk(const std::string& reason);
    void observe_ages(const ShardRelease& release);
    void start_sync();
    void synced(std::size_t batches, const Result<void>& result);
    void after_release();

    // One input (shard_process.cpp).
    Step process(Input& input);
    Step skip_or_fail_unread(Input& input);
    bool is_known(const Input& input) const;
    Step resolve(Input& input, Verdict verdict);
    Step resolve_unhandled(Input& input, Verdict verdict);
    Step run(Input& input);
    Outcome call_instance(Input& input);
    Step settle(Input& input, const Outcome& outcome, const CallEffects& effects,
                std::chrono::nanoseconds took);
    Step settle_success(Input& input, Verdict verdict, const CallEffects& effects);
    Result<void> remove_row(const Input& input);
    Step disk_failed(Input& input);
    void undo();

    // Calls, written down while they run (shard_calls.cpp).
    static CallView position_of(const Input& input);
    [[nodiscard]] CallScope note_call(CallKind kind, std::string_view name = {});
    Outcome noted_call(Input& input, std::chrono::nanoseconds started);
    const CondemnedInput* condemned(const Input& input) const;
    Step refuse(Input& input, const CondemnedInput& condemned);

    // What waits (shard_waiting.cpp).
    void fail_input(Input& input, Failure failure, bool transient,
                    std::optional<milliseconds> retry_after);
    void wait_and_retry(Input& input, milliseconds delay);
    void wait_for_completion(Input& input);
    milliseconds pending_for(const Input& input) const;
    void completed(CompletionToken token, std::string payload);
    void dead_letter(Input& input);
    void send_dead_letter(Input& input);
    void dead_letter_sent(std::uint64_t input, const Result<WrittenLetter>& result);
    void responded(OutboxCall call, HttpAnswer answer);
    void note_error(const Input& input);
    std::optional<milliseconds> delay_of(const Input& input, milliseconds least);
    std::chrono::nanoseconds spent_by(const Input& input) const;
    void leave_pending();
    std::shared_ptr<const HeldInput> holder_of(const TopicPartition& origin, Offset lowest);
    HeldInput describe(const Input& input) const;
    void touch_behind(const Input& input);

    // The breaker's gate (shard_gate.cpp).
    const Gate* gate_of(const Input& input) const;
    bool is_blocked(const Input& input) const;
    Input* next_probe(const TopicPartition& origin, Offset after);
    void end_probe(Input& input, ProbeResult result);
    std::string name_of(const Input& input) const;
    void hold(Input& input);
    void let_go(Input& input);
    Input* find_held(std::uint64_t id);

    ShardSetup setup_;
    const bool stateful_;
    const bool broadcast_;
    ShardGauges gauges_;
    std::shared_ptr<CallSlot> slot_;
    std::unique_ptr<StateFile> state_;
    std::unique_ptr<Services> services_;
    std::unique_ptr<HandlerInstance> instance_;
    std::unique_ptr<EventSender> events_;
    std::unique_ptr<CallSender> calls_;
    std::mutex interrupt_mutex_;
    sqlite::Database* interruptible_ = nullptr;
    bool closed_ = false;
    bool failed_ = false;

    Lanes lanes_;
    std::uint64_t next_input_ = 1;
    std::unordered_map<std::uint64_t, Input*> held_;  // waiting, blocked, pending, failed
    std::map<TopicPartition, std::map<Offset, Input*>> held_at_;  // those of the log among them
    std::uint32_t pending_ = 0;
    Attempts attempts_;
    std::vector<Incoming> incoming_;  // not yet in the inbox
    std::size_t inbox_loaded_ = 0;    // rows that are inputs now
    std::size_t inbox_bytes_ = 0;     // of those
    std::size_t inbox_done_ = 0;      // of them, resolved in this batch
    std::size_t inbox_done_bytes_ = 0;
    std::int64_t inbox_last_ = 0;     // the last of them
    std::map<TopicPartition, Gate> gates_;
    std::map<TopicPartition, HandledCounts> handled_;
    std::map<TopicPartition, OriginState> origins_;
    std::map<TopicPartition, std::uint64_t> received_sequence_;
    std::map<std::string, std::unique_ptr<DedupeRing>> rings_;
    std::set<TopicPartition> touched_;
    std::set<TopicPartition> forgotten_;  // their open offsets are not known, nor reported
    std::size_t dropped_records_ = 0;
    std::size_t dropped_bytes_ = 0;

    bool scheduled_ = false;
    bool paused_ = false;
    std::uint32_t pauses_ = 0;
    std::unique_ptr<Timer> pause_timer_;
    std::vector<Resolved> done_;
    std::vector<EffectOrigin> new_events_;
    bool timers_changed_ = false;
    bool outbox_changed_ = false;
    std::vector<Committed> committed_;
    bool syncing_ = false;
    std::int64_t durable_sequence_ = 0;
    std::chrono::nanoseconds batch_started_{0};

    std::unique_ptr<Timer> next_timer_;
    std::set<std::pair<std::string, std::int64_t>> loaded_timers_;
    std::vector<Drain> drains_;
    std::optional<Swap> swap_;
    std::vector<std::function<void()>> after_sync_;
};

}  // namespace millrace::engine
