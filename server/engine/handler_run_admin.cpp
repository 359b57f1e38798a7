// What people ask of a running handler: to go on after a hold, to begin anew, to read again.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "engine/handler_run.hpp"

namespace millrace::engine {

// A replay under way: first where each partition goes back to is found, then all go.
struct HandlerRun::Replay {
    ReplayRequest request;
    CommandAnswerPtr answer;
    struct Goal {
        std::uint64_t turn;
        Offset to;
    };
    std::map<TopicPartition, Goal> goals;
    std::size_t left = 0;
    std::optional<Error> fault;
};

CommandAnswerPtr HandlerRun::owe(CommandAnswer::Done done) {
    return std::make_shared<CommandAnswer>(surroundings_.runtime.loop(), std::move(done));
}

Result<std::vector<TopicPartition>> HandlerRun::choose(const PartitionChoice& which) const {
    if (state_ != RunState::kRunning) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("handler {} is {}{}{}", name(), to_string(state_),
                                reason_.empty() ? "" : ": ", reason_));
    }
    if (which.topic &&
        std::ranges::find(section().topics, *which.topic) == section().topics.end()) {
        return fail(ErrorCode::kNotFound,
                    fmt::format("handler {} does not read the topic '{}'; it reads: {}", name(),
                                *which.topic, fmt::join(section().topics, ", ")));
    }
    std::vector<TopicPartition> chosen;
    for (const auto& [origin, partition] : partitions_) {
        if (!partition.let_go && which.includes(origin)) chosen.push_back(origin);
    }
    if (chosen.empty()) {
        return fail(ErrorCode::kNotFound,
                    fmt::format("handler {} has no such partition here; `millrace handlers list` "
                                "shows those it has",
                                name()));
    }
    return chosen;
}

std::string HandlerRun::describe_partitions(const std::vector<TopicPartition>& chosen) const {
    boost::json::array rows;
    for (const auto& origin : chosen) {
        const auto found = partitions_.find(origin);
        if (found != partitions_.end()) rows.push_back(partition_status(origin, found->second));
    }
    return boost::json::serialize(boost::json::object{
        {"handler", name()}, {"state", to_string(state_)}, {"partitions", std::move(rows)}});
}

void HandlerRun::resume(const ResumeRequest& request, CommandAnswer::Done done) {
    const auto answer = owe(std::move(done));
    if (state_ == RunState::kQuarantined) return release_quarantine(answer);
    if (is_down()) return start_again(answer);
    auto chosen = choose(request.which);
    if (!chosen) return answer->tell(chosen.error());
    std::erase_if(*chosen,
                  [this](const auto& origin) { return partitions_.at(origin).held.empty(); });
    if (chosen->empty()) {
        return answer->tell(
            fail(ErrorCode::kConflict, fmt::format("nothing of handler {} is held there; `millrace "
                                                   "handlers list` shows what is",
                                                   name())));
    }
    if (request.decision) {
        // Why it is held may not be known yet: then there is nothing to decide on.
        const auto unknown = std::ranges::find_if(
            *chosen, [this](const auto& origin) { return !partitions_.at(origin).lost; });
        if (unknown != chosen->end()) {
            return answer->tell(fail(ErrorCode::kConflict, partitions_.at(*unknown).held));
        }
    }
    auto left = std::make_shared<std::size_t>(chosen->size());
    for (const auto& origin : *chosen) {
        PartitionState& partition = partitions_.at(origin);
        partition.settled = [this, left, answer, chosen = *chosen] {
            if (--*left == 0) answer->tell(describe_partitions(chosen));
        };
    }
    for (const auto& origin : *chosen) {
        if (request.decision)
            resolve_lost(origin, *request.decision);
        else
            look_again(origin);
    }
}

void HandlerRun::look_again(const TopicPartition& origin) {
    PartitionState& partition = partitions_.at(origin);
    partition.turn = ++turns_;
    partition.lost.reset();
    if (const auto committed = consumer_->committed(origin)) partition.committed = committed;
    survey_log({{origin, partition.turn}});
}

void HandlerRun::restart(CommandAnswer::Done done) {
    const auto answer = owe(std::move(done));
    if (is_down()) return start_again(answer);
    if (state_ == RunState::kQuarantined) {
        return answer->tell(fail(ErrorCode::kConflict,
                                 fmt::format("handler {} is quarantined: {}. `millrace handlers "
                                             "resume {}` lets it go",
                                             name(), reason_, name())));
    }
    if (state_ != RunState::kRunning) {
        return answer->tell(fail(ErrorCode::kUnavailable, fmt::format("handler {} is {}; ask again",
                                                                      name(), to_string(state_))));
    }
    log::info("engine", "{}: restarted by command", name());
    waiting_for_start_.push_back(answer);
    flush([this] {
        if (state_ != RunState::kRunning) return;
        failures_ = own_failures_ = 0;
        take_down("restarted by command", [this] {
            if (state_ == RunState::kRestarting) begin();
        });
    });
}

// Down until somebody says otherwise, or until its backoff has passed.
bool HandlerRun::is_down() const {
    return state_ == RunState::kDown || (state_ == RunState::kRestarting && restart_timer_);
}

void HandlerRun::start_again(const CommandAnswerPtr& answer) {
    restart_timer_.reset();
    waiting_for_start_.push_back(answer);
    failures_ = own_failures_ = 0;
    begin();
}

void HandlerRun::tell_started(const Result<void>& started) {
    for (const auto& answer : std::exchange(waiting_for_start_, {})) {
        if (started)
            answer->tell(describe_partitions({}));
        else
            answer->tell(
                fail(ErrorCode::kUnavailable,
                     fmt::format("handler {} did not start: {}", name(), started.error().message)));
    }
}

void HandlerRun::replay(const ReplayRequest& request, CommandAnswer::Done done) {
    const auto answer = owe(std::move(done));
    if (traits().broadcast) {
        return answer->tell(fail(ErrorCode::kInvalid,
                                 fmt::format("handler {} is a broadcast handler: it keeps no "
                                             "position, and reads gateway.resume.age back when it "
                                             "starts (`millrace handlers restart {}`)",
                                             name(), name())));
    }
    auto chosen = choose(request.which);
    if (!chosen) return answer->tell(chosen.error());
    if (request.from == ReplayRequest::From::kOffset && chosen->size() > 1) {
        return answer->tell(fail(ErrorCode::kInvalid,
                                 "an offset belongs to one partition: name it with its topic and "
                                 "partition (or replay from a time, or from earliest)"));
    }
    auto replay = std::make_shared<Replay>(Replay{request, answer, {}, chosen->size(), {}});
    for (const auto& origin : *chosen) {
        const PartitionState& partition = partitions_.at(origin);
        if (partition.resetting || (partition.held.empty() && !partition.started)) {
            return answer->tell(
                fail(ErrorCode::kUnavailable,
                     fmt::format("reading of {} has not begun yet; ask again", to_string(origin))));
        }
        replay->goals[origin] = {partition.turn, Offset{0}};
    }
    for (const auto& origin : *chosen) find_goal(replay, origin);
}

void HandlerRun::find_goal(const std::shared_ptr<Replay>& replay, const TopicPartition& origin) {
    const ReplayRequest& request = replay->request;
    if (request.from == ReplayRequest::From::kTime) {
        return surroundings_.transport.offset_at(
            origin, request.time,
            [this, alive = weak_from_this(), replay, origin](const Result<Offset>& offset) {
                if (const auto self = alive.lock()) found_goal(replay, origin, offset);
            });
    }
    surroundings_.transport.watermarks(
        origin,
        [this, alive = weak_from_this(), replay, origin](const Result<Watermarks>& log) {
            const auto self = alive.lock();
            if (!self) return;
            if (!log) return found_goal(replay, origin, log.error());
            if (replay->request.from == ReplayRequest::From::kEarliest)
                return found_goal(replay, origin, log->low);
            const Offset asked = replay->request.offset;
            if (asked >= log->low && asked <= log->high) return found_goal(replay, origin, asked);
            found_goal(
                replay, origin,
                fail(ErrorCode::kInvalid,
                     fmt::format("offset {} is not in the log of {}, which has {} to {}",
                                 asked.value, to_string(origin), log->low.value, log->high.value)));
        });
}

void HandlerRun::found_goal(const std::shared_ptr<Replay>& replay, const TopicPartition& origin,
                            const Result<Offset>& offset) {
    if (offset)
        replay->goals.at(origin).to = *offset;
    else
        replay->fault = offset.error();
    if (--replay->left > 0) return;
    if (replay->fault) return replay->answer->tell(*replay->fault);
    const bool one = replay->request.from == ReplayRequest::From::kOffset;
    for (const auto& [each, goal] : replay->goals) {
        const PartitionState* partition = find_turn(each, goal.turn);
        if (partition == nullptr) return;  // the answer says so when the replay goes
        if (one && partition->held.empty() && goal.to > partition->progress.position()) {
            return replay->answer->tell(fail(
                ErrorCode::kInvalid,
                fmt::format("offset {} lies above the position {} of {}: a replay goes back",
                            goal.to.value, partition->progress.position().value, to_string(each))));
        }
    }
    go_back(replay);
}

void HandlerRun::go_back(const std::shared_ptr<Replay>& replay) {
    std::vector<TopicPartition> chosen;
    for (const auto& [origin, goal] : replay->goals) chosen.push_back(origin);
    auto one = [this, replay, chosen] {
        if (--replay->left == 0) replay->answer->tell(describe_partitions(chosen));
    };
    replay->left = chosen.size() + 1;
    for (const auto& [origin, goal] : replay->goals) {
        const PartitionState& partition = partitions_.at(origin);
        // Of a time there may be nothing to read again on some partition.
        if (partition.held.empty() && goal.to >= partition.progress.position())
            one();
        else
            move_back(origin, goal.to, one);
    }
    one();
}

// The position goes back first, durably, then the shards forget. After a crash in between records are
// read again and dropped by the shards, which still know them: a replay that did not happen, and was
// not answered.
void HandlerRun::move_back(const TopicPartition& origin, Offset to, std::function<void()> done) {
    PartitionState& partition = partitions_.at(origin);
    log::warn("engine", "{}: {}: replay from offset {} by command (the position was {})", name(),
              to_string(origin), to.value, partition.progress.position().value);
    consumer_->stop_draining(origin);
    partition.turn = ++turns_;
    partition.resetting = true;
    SavedPosition& saved = partition.saved;
    const auto committed = consumer_->committed(origin).value_or(Offset{-1});
    saved.published =
        std::max({saved.published, saved.position, partition.progress.position(), committed});
    saved.position = to;
    saved.fingerprint.reset();
    saved.cluster = survey_.cluster;
    if (stateful()) unsaved_[origin] = saved;
    positions_[origin] = saved;
    flush([this, origin, to, done, turn = partition.turn] {
        if (find_turn(origin, turn) == nullptr || state_ != RunState::kRunning) return;
        reset_shards(origin, ResetScope::kPositionAndIdentities, [this, origin, to, done] {
            if (state_ != RunState::kRunning) return;
            start_partition(origin, {StartPosition::Kind::kOffset, to, {}});
            consumer_->commit(origin, to);
            done();
        });
    });
}

}  // namespace millrace::engine
