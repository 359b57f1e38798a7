// HandlerRun: one handler of the configuration as a running consumer group: its shards, its
// threads, its partitions.
//
// It opens the state, subscribes, decodes each batch once on the partition's strand, routes the
// parts to shards, gathers from them how far each partition is durably done, and publishes that to
// the group. What fails (a shard's disk, the subscription) takes the whole run down as a crash
// would and starts it again with backoff; with a damaged file it stays down until it is told to
// start again. A partition whose position the log or the group contradicts is held.
//
// Thread rule: the loop thread, its destruction too: no task of its threads may be the last to hold
// it. Ownership: of the Supervisor; owns the handler's thread pool, which must outlive the shards'
// tasks.
#pragma once

#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/admin.hpp"
#include "engine/fingerprint.hpp"
#include "engine/lost_position.hpp"
#include "engine/partition_state.hpp"
#include "engine/position_file.hpp"
#include "engine/router.hpp"
#include "engine/shard.hpp"
#include "engine/supervisor.hpp"

namespace millrace::engine {

enum class RunState {
    kStarting = 1,
    kRunning,
    kRestarting,
    kDown,         // until it is started again by command
    kQuarantined,  // likewise: it crashed the process, or keeps failing
    kStopping,
    kStopped,
};

const char* to_string(RunState state);

class HandlerRun final : public std::enable_shared_from_this<HandlerRun>,
                         public ConsumerListener,
                         public ShardOwner {
public:
    HandlerRun(const Surroundings& surroundings, const std::string& group_prefix,
               HandlerSetup setup);
    ~HandlerRun() override;

    void start();
    void stop(milliseconds deadline, std::function<void()> done);
    boost::json::object status() const;
    std::vector<std::string> unready() const;
    void query(const std::string& question,
               std::vector<std::pair<std::string, std::string>> parameters,
               Callback<Result<std::string>> done);
    // To the shard that a record failed in; answered once it is durable there.
    void redrive(RedriveRecord record, Callback<Result<void>> done);
    void replay(const ReplayRequest& request, CommandAnswer::Done done);
    void resume(const ResumeRequest& request, CommandAnswer::Done done);
    void restart(CommandAnswer::Done done);
    // Another version of the handler takes over (handler_run_swap.cpp).
    void swap(std::shared_ptr<HandlerFactory> next, CommandAnswer::Done done);
    const std::string& name() const { return section().name; }

    void on_assigned(Epoch epoch, const std::vector<Assigned>& partitions) override;
    void on_revoked(Epoch epoch, const std::vector<TopicPartition>& partitions,
                    std::function<void()> done) override;
    void on_lost(Epoch epoch, const std::vector<TopicPartition>& partitions) override;
    void on_batch(RecordBatchPtr batch) override;
    void on_end(const TopicPartition& origin, Epoch epoch, Offset end) override;
    void on_out_of_range(const TopicPartition& origin, Epoch epoch, Offset asked,
                         Watermarks log) override;
    void on_failed(const Error& error) override;

    void on_shard_released(std::size_t shard, const ShardRelease& release) override;
    void on_shard_failed(std::size_t shard, const Error& error) override;
    void on_retry() override { ++totals_.retries; }
    void on_verdicts(const std::map<Verdict, std::size_t>& counts) override;
    void on_error(const ErrorNote& note) override;
    bool holds(const TopicPartition& origin, Epoch epoch) const override;
    void on_handled(const std::map<TopicPartition, HandledCounts>& counts) override;
    void on_probed(const TopicPartition& origin, ProbeResult result) override;
    void on_room() override;
    void on_held(std::size_t shard, const std::string& what, const std::string& reason) override;

private:
    struct OwnShard {
        std::size_t index = 0;  // in shards_
        bool open = false;
    };
    struct Totals {
        std::uint64_t acked = 0;
        std::uint64_t skipped = 0;
        std::uint64_t duplicates = 0;
        std::uint64_t retries = 0;
        std::uint64_t dead_lettered = 0;
    };
    // What a decoded batch carries beside its records.
    struct Handed {
        std::uint64_t turn;
        Fingerprint last;
    };
    // To be committed, of one assignment.
    struct Published {
        TopicPartition origin;
        Epoch epoch;
        Offset offset;
    };
    using Turns = std::map<TopicPartition, std::uint64_t>;
    // A shard's call that is over its time.
    struct OverdueCall {
        std::string shard;
        CallSlot::Running call;
        Timestamp since;
        std::string text;
    };
    struct Question;
    struct Replay;
    struct Swap;

    const HandlerSection& section() const { return setup_.section; }
    const HandlerTraits& traits() const { return setup_.factory->traits(); }
    bool stateful() const { return traits().state != StateKind::kNone; }
    std::string directory() const;

    // Starting, failing, stopping (handler_run.cpp).
    void begin();
    void opened_positions(Result<int> shards);
    Result<int> open_position_file();
    void open_shards(int count);
    std::shared_ptr<Shard> make_shard(const std::string& name);
    void subscribe();
    void fail_run(const Error& error);
    void take_down(const std::string& reason, std::function<void()> then);
    void close_consumer(std::function<void()> done);
    void close_shards(std::function<void()> done);
    void restart_later();
    void set_state(RunState state, std::string reason);
    void drained(std::function<void()> done);

    // Where reading begins (handler_run_start.cpp).
    std::uint64_t assign(Epoch epoch, const Assigned& assigned);
    void survey_log(const Turns& turns);
    void surveyed(const Turns& turns);
    void survey_later(const Turns& turns, const Error& error);
    void note_partition_counts();
    // Shards of single partitions (handler_run_own_shards.cpp).
    void open_partition_shard(const TopicPartition& origin);
    OwnShard& own_shard(const TopicPartition& origin);
    void opened_own_shard(const TopicPartition& origin, const Result<void>& opened);
    void open_own_shards();
    void open_where_there_is_state(const std::vector<TopicInfo>& topics);
    void begin_partition(const TopicPartition& origin);
    std::optional<LostPosition> contradiction(const TopicPartition& origin,
                                              bool has_position) const;
    void check_record_below(const TopicPartition& origin);
    StartPosition configured_start() const;
    StartPosition first_start(const TopicPartition& origin) const;
    void lost_position(const TopicPartition& origin, LostPosition lost);
    void resolve_lost(const TopicPartition& origin, LostDecision decision);
    void accept_partition_count(const std::string& topic);
    void reset_shards(const TopicPartition& origin, ResetScope scope, std::function<void()> done);
    void start_partition(const TopicPartition& origin, StartPosition from);
    void hold_partition(const TopicPartition& origin, const std::string& reason,
                        const std::string& what);
    void settle(PartitionState& partition);

    // Commands (handler_run_admin.cpp).
    CommandAnswerPtr owe(CommandAnswer::Done done);
    Result<std::vector<TopicPartition>> choose(const PartitionChoice& which) const;
    std::string describe_partitions(const std::vector<TopicPartition>& chosen) const;
    void look_again(const TopicPartition& origin);
    bool is_down() const;
    void start_again(const CommandAnswerPtr& answer);
    void tell_started(const Result<void>& started);
    void find_goal(const std::shared_ptr<Replay>& replay, const TopicPartition& origin);
    void found_goal(const std::shared_ptr<Replay>& replay, const TopicPartition& origin,
                    const Result<Offset>& offset);
    void go_back(const std::shared_ptr<Replay>& replay);
    void move_back(const TopicPartition& origin, Offset to, std::function<void()> done);

    // Another version (handler_run_swap.cpp).
    void begin_swap(const std::shared_ptr<Swap>& swap);
    void start_other(const std::shared_ptr<Swap>& swap);
    void try_version(const std::shared_ptr<Swap>& swap);
    void swap_shard(const std::shared_ptr<Swap>& swap, std::size_t index);
    void swapped(const std::shared_ptr<Swap>& swap);
    void swap_failed(const std::shared_ptr<Swap>& swap);
    void count_swap(const char* outcome);

    // Partitions (handler_run_partitions.cpp).
    PartitionState* find_partition(const TopicPartition& origin, Epoch epoch);
    PartitionState* find_turn(const TopicPartition& origin, std::uint64_t turn);
    void dispatch(const DecodedBatchPtr& decoded, std::vector<Part> parts, const Handed& handed);
    void reached_end(const TopicPartition& origin, std::uint64_t turn, Offset end);
    void take_report(const TopicPartition& origin, const ShardReport& report);
    void note_beginning(const TopicPartition& origin, PartitionState& partition, Offset first);
    void release(std::size_t records, std::size_t bytes);
    std::string intake_bound() const;
    void apply_back_pressure();
    void check_bounds(const TopicPartition& origin, PartitionState& partition);
    void drain_shards(const std::vector<TopicPartition>& partitions, std::function<void()> done);
    void forget(const std::vector<TopicPartition>& partitions, std::function<void()> done);
    std::vector<TopicPartition> let_go(std::vector<TopicPartition> partitions) const;
    void erase(const std::vector<TopicPartition>& partitions);
    void progressed(const TopicPartition& origin, PartitionState& partition);
    void flush_later();
    void flush(std::function<void()> done);
    std::vector<Published> take_published();

    // Breakers and the inbox (handler_run_control.cpp).
    void open_breaker(const TopicPartition& origin, PartitionState& partition);
    void close_breaker(const TopicPartition& origin, PartitionState& partition);
    void probe_later(const TopicPartition& origin, PartitionState& partition);
    void ask_for_probe(const TopicPartition& origin, PartitionState& partition);
    void count_open_breakers();
    void redrive_decoded(const DecodedBatchPtr& decoded, RedriveRecord record,
                         Callback<Result<void>> done);

    // Calls that do not return (handler_run_watch.cpp).
    void watch();
    void watch_shard(std::size_t index, const std::shared_ptr<Shard>& shard);
    void check_stuck();

    // Crashes and quarantine (handler_run_quarantine.cpp).
    void release_quarantine(const CommandAnswerPtr& answer);
    void forget_crashes(const TopicPartition& origin);
    bool judge_crashes();
    void fail_shard(const Error& error);
    void quarantine(std::string reason);
    void save_crashes(std::function<void()> done);

    // What people see (handler_run_status.cpp).
    void tick();
    void note_health();
    void make_gauges(const TopicPartition& origin, PartitionState& partition);
    void update(const TopicPartition& origin, PartitionState& partition);
    std::int64_t lag_of(const TopicPartition& origin, const PartitionState& partition) const;
    double lag_seconds_of(const TopicPartition& origin, const PartitionState& partition) const;
    void show_holder(const TopicPartition& origin, PartitionState& partition);
    // millrace_held, 1 while it lives. Without a topic: of something that is no partition.
    std::shared_ptr<Gauge> held_series(const std::string& reason,
                                       const TopicPartition& origin = {});
    std::optional<std::string> slow_sync() const;
    std::string bound_of(const PartitionState& partition) const;
    std::string waits_for(const PartitionState& partition) const;
    boost::json::object partition_status(const TopicPartition& origin,
                                         const PartitionState& partition) const;
    boost::json::array stuck_status() const;

    // Questions (handler_run_questions.cpp).
    void answered(const std::shared_ptr<Question>& question);
    void merge(const std::shared_ptr<Question>& question, HandlerFactory& factory);

    Surroundings surroundings_;
    HandlerSetup setup_;
    std::string group_;
    ShardMetrics metrics_;
    std::unique_ptr<WorkerPool> pool_;
    std::unique_ptr<WorkerPool> sync_pool_;
    std::shared_ptr<Strand> files_;  // of the position file
    LogSyncer syncer_;
    int threads_ = 1;

    RunState state_ = RunState::kStarting;
    std::string reason_;
    std::string disk_trouble_;  // until something was durable again
    std::uint32_t failures_ = 0;
    std::chrono::nanoseconds running_since_{0};
    std::uint32_t own_failures_ = 0;  // in a row, neither the disk nor the transport to blame
    HandlerCrashes crashes_;
    std::map<std::size_t, OverdueCall> overdue_;  // by shard
    bool gave_up_ = false;
    std::unique_ptr<PositionFile> positions_file_;
    SavedPositions positions_;
    SavedTopics topics_;
    LogSurvey survey_;
    std::set<std::string> read_before_;  // topics that the group has committed offsets of
    std::uint64_t turns_ = 0;
    std::vector<std::shared_ptr<Shard>> shards_;  // by index; null: closed
    std::unique_ptr<Consumer> consumer_;
    std::vector<std::function<void()>> consumer_closed_;  // who waits for it to close
    std::map<TopicPartition, PartitionState> partitions_;
    // By shard, of records whose outbox events are not confirmed, also where nothing is assigned.
    std::map<TopicPartition, std::map<std::size_t, Offset>> unsent_;
    // State per partition: the shards of all that was ever read here. What waits in them to be
    // sent, and their timers, stay ours when the partition goes to another member.
    std::map<TopicPartition, OwnShard> own_shards_;
    std::unique_ptr<Timer> own_shards_timer_;
    std::uint64_t next_sequence_ = 0;
    std::size_t opening_ = 0;
    std::size_t buffered_records_ = 0;
    std::size_t buffered_bytes_ = 0;
    std::atomic<std::uint32_t> in_flight_{0};
    std::string intake_bound_;  // at which all reading has stopped; empty: it has not
    SavedPositions unsaved_;
    SavedTopics unsaved_topics_;
    Turns to_survey_;
    std::unique_ptr<Timer> survey_timer_;
    std::vector<CommandAnswerPtr> waiting_for_start_;
    bool swapping_ = false;
    std::unique_ptr<Timer> waiting_swap_;
    bool flushing_ = false;
    std::unique_ptr<Timer> flush_timer_;
    std::unique_ptr<Timer> restart_timer_;
    std::unique_ptr<Timer> tick_timer_;
    std::unique_ptr<Timer> watch_timer_;
    std::unique_ptr<Timer> deadline_;
    std::unique_ptr<Timer> revoke_deadline_;

    Totals totals_;
    std::deque<ErrorNote> errors_;
    std::map<std::pair<std::size_t, std::string>, std::string> held_;
    std::map<std::pair<std::size_t, std::string>, std::shared_ptr<Gauge>> held_gauges_;
    std::shared_ptr<Gauge> state_gauge_;
    std::shared_ptr<Gauge> queue_records_gauge_;
    std::shared_ptr<Gauge> queue_bytes_gauge_;
    std::shared_ptr<Gauge> outbox_gauge_;
    std::shared_ptr<Gauge> outbox_oldest_gauge_;
    std::shared_ptr<Gauge> timers_gauge_;
    std::shared_ptr<Gauge> breaker_gauge_;
    std::shared_ptr<Counter> rebalances_;
};

}  // namespace millrace::engine
