#include "engine/handler_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "engine/backoff.hpp"
#include "engine/schema_upgrade.hpp"

namespace millrace::engine {
namespace {

int threads_of(const HandlerSection& section, const HandlerTraits& traits) {
    if (section.threads > 0) return section.threads;
    const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    if (traits.broadcast) return 1;
    return traits.state == StateKind::kPerPartition ? cores : std::min(section.shards, cores);
}

}  // namespace

const char* to_string(RunState state) {
    switch (state) {
        case RunState::kStarting:
            return "starting";
        case RunState::kRunning:
            return "running";
        case RunState::kRestarting:
            return "restarting";
        case RunState::kDown:
            return "down";
        case RunState::kQuarantined:
            return "quarantined";
        case RunState::kStopping:
            return "stopping";
        case RunState::kStopped:
            return "stopped";
    }
    return "unknown";
}

HandlerRun::HandlerRun(const Surroundings& surroundings, const std::string& group_prefix,
                       HandlerSetup setup)
    : surroundings_(surroundings),
      setup_(std::move(setup)),
      group_(group_prefix + "." + setup_.section.name),
      metrics_(surroundings.metrics, setup_.section.name),
      pool_(surroundings.runtime.make_pool(
          setup_.section.name,
          static_cast<std::size_t>(threads_of(setup_.section, setup_.factory->traits())))),
      sync_pool_(surroundings.runtime.make_pool(setup_.section.name.substr(0, 10) + "-sync", 1)),
      files_(sync_pool_->make_strand()),
      syncer_(sync_pool_->make_strand()),
      threads_(threads_of(setup_.section, setup_.factory->traits())) {
    const Labels labels{{"handler", name()}};
    Metrics& metrics = surroundings_.metrics;
    queue_records_gauge_ =
        metrics.gauge("millrace_queue_records", "Records received and not yet done", labels);
    queue_bytes_gauge_ = metrics.gauge("millrace_queue_bytes", "Their keys and values", labels);
    outbox_gauge_ =
        metrics.gauge("millrace_outbox_pending", "Events and calls that wait to be sent", labels);
    outbox_oldest_gauge_ = metrics.gauge("millrace_outbox_oldest_seconds",
                                         "How long the oldest of them waits", labels);
    timers_gauge_ = metrics.gauge("millrace_timers_pending", "Timers that are set", labels);
    breaker_gauge_ =
        metrics.gauge("millrace_breaker_open",
                      "Partitions that are held because the handler kept failing", labels);
    rebalances_ =
        metrics.counter("millrace_rebalances_total", "Assignments and revocations", labels);
    set_state(RunState::kStarting, "");
}

HandlerRun::~HandlerRun() {
    consumer_.reset();
    shards_.clear();
}

std::string HandlerRun::directory() const { return surroundings_.data_dir + "/handlers/" + name(); }

void HandlerRun::start() {
    tick();
    watch();
    begin();
}

void HandlerRun::set_state(RunState state, std::string reason) {
    state_ = state;
    reason_ = std::move(reason);
    state_gauge_ = surroundings_.metrics.gauge("millrace_handler_state",
                                               "1 for the state that the handler is in",
                                               {{"handler", name()}, {"state", to_string(state)}});
    state_gauge_->set(1);
}

void HandlerRun::begin() {
    if (judge_crashes()) return;
    set_state(RunState::kStarting, "");
    if (!stateful()) return open_shards(traits().broadcast ? 1 : section().shards);
    files_->post([this] {
        auto shards = open_position_file();
        surroundings_.runtime.loop().post([this, shards] { opened_positions(shards); });
    });
}

Result<int> HandlerRun::open_position_file() {
    std::error_code error;
    std::filesystem::create_directories(directory(), error);
    if (error)
        return fail(ErrorCode::kIo,
                    fmt::format("{}: cannot be created: {}", directory(), error.message()));
    auto file = PositionFile::open(directory() + "/handler.db", surroundings_.vfs);
    if (!file) return file.error();
    positions_file_ = std::move(*file);
    auto positions = positions_file_->positions();
    if (!positions) return positions.error();
    positions_ = std::move(*positions);
    auto topics = positions_file_->topics();
    if (!topics) return topics.error();
    topics_ = std::move(*topics);
    return positions_file_->shards(section().shards);
}

void HandlerRun::opened_positions(Result<int> shards) {
    if (state_ != RunState::kStarting) return;
    if (!shards) return fail_run(shards.error());
    if (traits().state == StateKind::kPerPartition) return subscribe();
    if (*shards != section().shards) {
        log::warn("engine",
                  "{}: `shards: {}` has no effect, the state was made with {} (move it away to "
                  "begin anew)",
                  name(), section().shards, *shards);
    }
    open_shards(*shards);
}

void HandlerRun::open_shards(int count) {
    opening_ = static_cast<std::size_t>(count);
    for (int i = 0; i < count; ++i) make_shard(std::to_string(i));
    for (const auto& shard : shards_) {
        shard->open([this](const Result<void>& opened) {
            --opening_;
            if (state_ != RunState::kStarting) return;
            if (!opened) return fail_shard(opened.error());
            if (opening_ == 0) subscribe();
        });
    }
}

std::shared_ptr<Shard> HandlerRun::make_shard(const std::string& shard_name) {
    const std::string path =
        stateful() ? fmt::format("{}/{}.db", directory(), shard_name) : std::string();
    ShardSetup setup{shards_.size(),
                     {name(), shard_name},
                     path,
                     surroundings_.vfs,
                     setup_.section,
                     setup_.dead_letters,
                     group_,
                     setup_.factory,
                     surroundings_.runtime,
                     surroundings_.transport,
                     surroundings_.reader,
                     surroundings_.push,
                     surroundings_.http,
                     surroundings_.metrics,
                     metrics_,
                     syncer_,
                     surroundings_.check_event,
                     pool_->make_strand(),
                     in_flight_,
                     *this,
                     surroundings_.crashes,
                     condemned_inputs(crashes_, section().crash_limit)};
    shards_.push_back(std::make_shared<Shard>(std::move(setup)));
    return shards_.back();
}

void HandlerRun::subscribe() {
    Subscription subscription;
    subscription.group = group_;
    subscription.topics = section().topics;
    subscription.broadcast = traits().broadcast;
    subscription.exclusive = stateful() && !surroundings_.accept_unmoved_state;
    auto consumer = surroundings_.transport.subscribe(subscription, *this);
    if (!consumer) return fail_run(consumer.error());
    consumer_ = std::move(*consumer);
    set_state(RunState::kRunning, "");
    running_since_ = surroundings_.runtime.clock().monotonic();
    tell_started({});
    if (traits().state == StateKind::kPerPartition) open_own_shards();
}

void HandlerRun::fail_run(const Error& error) {
    if (state_ != RunState::kStarting && state_ != RunState::kRunning) return;
    // Trying again does not mend a file.
    const bool for_good = error.code == ErrorCode::kCorrupt;
    log::error("engine", "{}: {}: {}", name(),
               for_good ? "stopped, it stays down" : "stopped, it is started again", error.message);
    if (is_storage_fault(error)) disk_trouble_ = error.message;
    take_down(error.message, [this, for_good, message = error.message] {
        if (state_ != RunState::kRestarting) return;
        if (for_good)
            set_state(RunState::kDown,
                      fmt::format("{}; then `millrace handlers restart {}`", message, name()));
        else
            restart_later();
    });
    tell_started(error);
}

void HandlerRun::take_down(const std::string& reason, std::function<void()> then) {
    set_state(RunState::kRestarting, reason);
    flush_timer_.reset();
    survey_timer_.reset();
    own_shards_timer_.reset();
    to_survey_.clear();
    auto closed = [this, then = std::move(then)] { close_shards(then); };
    close_consumer(closed);
}

// Whoever asks while it is closing is told when it is.
void HandlerRun::close_consumer(std::function<void()> done) {
    if (!consumer_) return done();
    consumer_closed_.push_back(std::move(done));
    if (consumer_closed_.size() > 1) return;
    consumer_->close([this] {
        // Destroyed when its own callback has returned.
        surroundings_.runtime.loop().post(
            [closed = std::shared_ptr<Consumer>(std::move(consumer_))] {});
        for (const auto& closed : std::exchange(consumer_closed_, {})) closed();
    });
}

void HandlerRun::close_shards(std::function<void()> done) {
    auto left = std::make_shared<std::size_t>(1);
    auto one = [this, left, done = std::move(done)] {
        if (--*left > 0) return;
        shards_.clear();
        own_shards_.clear();
        unsent_.clear();
        std::vector<TopicPartition> all;
        for (const auto& [origin, partition] : partitions_) all.push_back(origin);
        erase(all);
        held_.clear();
        held_gauges_.clear();
        unsaved_.clear();
        unsaved_topics_.clear();
        buffered_records_ = buffered_bytes_ = 0;
        overdue_.clear();
        intake_bound_.clear();
        files_->post([this, done] {
            positions_file_.reset();
            surroundings_.runtime.loop().post(done);
        });
    };
    for (const auto& shard : shards_) {
        if (!shard) continue;
        ++*left;
        shard->close(one);
    }
    one();
}

void HandlerRun::restart_later() {
    if (state_ != RunState::kRestarting) return;
    if (own_failures_ >= section().quarantine_after) {
        return quarantine(fmt::format("it failed {} times in a row (quarantine_after), last: {}",
                                      own_failures_, reason_));
    }
    const auto delay = backoff(kOutsideRetry, ++failures_, surroundings_.runtime.random());
    restart_timer_ = surroundings_.runtime.loop().after(delay, [this] {
        restart_timer_.reset();
        begin();
    });
}

void HandlerRun::on_failed(const Error& error) { fail_run(error); }

void HandlerRun::on_shard_failed(std::size_t, const Error& error) { fail_shard(error); }

void HandlerRun::stop(milliseconds deadline, std::function<void()> done) {
    restart_timer_.reset();
    waiting_for_start_.clear();
    waiting_swap_.reset();
    const bool was_running = state_ == RunState::kRunning;
    set_state(RunState::kStopping, "");
    auto finished = std::make_shared<bool>(false);
    auto once = [this, finished, done = std::move(done)] {
        if (std::exchange(*finished, true)) return;
        deadline_.reset();
        drained(done);
    };
    if (!was_running) return once();
    for (const auto& [origin, partition] : partitions_) consumer_->stop_draining(origin);
    deadline_ = surroundings_.runtime.loop().after(deadline, [this, once] {
        log::warn("engine",
                  "{}: not everything was drained in time; it is read again at the next start",
                  name());
        once();
    });
    auto left = std::make_shared<std::size_t>(1);
    auto one = [left, once] {
        if (--*left == 0) once();
    };
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        if (!shards_[i] || (gave_up_ && overdue_.contains(i))) continue;
        ++*left;
        shards_[i]->drain({}, one);
    }
    one();
}

void HandlerRun::drained(std::function<void()> done) {
    flush_timer_.reset();
    tick_timer_.reset();
    watch_timer_.reset();
    auto closed = [this, done] {
        close_shards([this, done] {
            set_state(RunState::kStopped, "");
            done();
        });
    };
    flush([this, closed, done] {
        if (gave_up_) return done();  // its shards will never close
        close_consumer(closed);
    });
}

}  // namespace millrace::engine
