#include "simulation/oracle.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

namespace millrace::simulation {
namespace {

constexpr std::size_t kMostFaults = 20;

}  // namespace

void Tally::add(const Tally& other) {
    records += other.records;
    effects += other.effects;
    repeats += other.repeats;
    dead_letters += other.dead_letters;
    published += other.published;
    crashes += other.crashes;
    moves += other.moves;
    breakers += other.breakers;
    redriven += other.redriven;
}

Oracle::Oracle(const Scenario& scenario, Scheduler& scheduler, Disk& disk, std::string root,
               std::vector<std::string> processes)
    : scenario_(scenario),
      scheduler_(scheduler),
      disk_(disk),
      root_(std::move(root)),
      processes_(std::move(processes)),
      disturbances_(scenario.settles_in()),
      attempts_(scenario_, disturbances_, [this](const std::string& what) { on_fault(what); }),
      breakers_(scenario_, scheduler_, [this](const std::string& what) { on_fault(what); }),
      owners_([this](const std::string& what) { on_fault(what); }),
      stalls_(scenario_, disturbances_, [this](const std::string& what) { on_fault(what); }),
      bounds_(scenario_, disturbances_, [this](const std::string& what) { on_fault(what); }) {}

void Oracle::look(const std::string& process, const std::string& status) {
    const auto value = boost::json::parse(status);
    for (const auto& handler : value.at("handlers").as_array()) {
        stalls_.look(process, handler.as_object(), scheduler_.now());
        bounds_.look(process, handler.as_object(), scheduler_.now());
    }
}

void Oracle::produced(Produced record) {
    ++tally_.records;
    auto& place = produced_[record.origin][record.offset];
    place = std::move(record);
    by_serial_[place.serial].push_back(&place);
}

void Oracle::on_fault(const std::string& what) {
    if (faults_.size() < kMostFaults)
        faults_.push_back(fmt::format("step {}: {}", scheduler_.steps(), what));
}

void Oracle::on_moved(const std::string&) {
    ++tally_.moves;
    disturbed(Disturbance::kMoved);
}

void Oracle::disturbed(Disturbance what) {
    disturbances_.happened(what, scheduler_.now());
    breakers_.disturbed();
}

void Oracle::disk_trouble_begins() {
    disturbances_.trouble_begins(scheduler_.now());
    breakers_.disturbed();
}

void Oracle::disk_trouble_ends() {
    disturbances_.trouble_ends(scheduler_.now());
    breakers_.disturbed();
}

void Oracle::on_crash(const std::string& process, CrashKind kind) {
    disturbed(Disturbance::kCrash);
    attempts_.crashed(process, kind,
                      kind == CrashKind::kProcess ? SavedAttempts() : read_attempts(process),
                      scheduler_.now());
    check_durable();
}

void Oracle::on_called(const CallNote& note) {
    scheduler_.trace("{}: {} shard {} handles {} of {} offset {}, attempt {}: {}", note.process,
                     note.handler, note.shard, note.serial, to_string(note.origin),
                     note.offset.value, note.attempt, note.outcome);
    if (scheduler_.in_ended_life()) return;
    attempts_.called(note, scheduler_.now());
    owners_.called(note, group_of(note.handler), scheduler_.now());
    if (!disturbances_.disk_between(scheduler_.now(), scheduler_.now())) breakers_.called(note);
    bounds_.called(note, scheduler_.now());
    const Produced* record = find({note.origin, note.offset});
    if (note.kind == engine::OutcomeKind::kPending && record != nullptr &&
        record->script.act != Act::kPendingAfterWrite)
        bounds_.pends(note, scheduler_.now());
    if (note.kind != engine::OutcomeKind::kAck) return;
    const CopyKey copy{note.origin, note.offset};
    Acked& acked = acked_[note.handler];
    acked.copies.insert(copy);
    acked.last_at[{note.process, copy}] = scheduler_.now();
}

const HandlerPlan* Oracle::plan_of_group(const std::string& group) const {
    for (const auto& plan : scenario_.handlers) {
        if (group_of(plan.section.name) == group) return &plan;
    }
    return nullptr;
}

Fate Oracle::fate_of(const Produced& record, const HandlerPlan& plan) const {
    switch (record.flavour) {
        case Flavour::kTombstone:
        case Flavour::kUnknownVersion:
            return Fate::kSkipped;
        case Flavour::kBroken:
        case Flavour::kNotAnObject:
        case Flavour::kLoop:
            return Fate::kDead;
        case Flavour::kNormal:
            break;
    }
    if (plan.state == engine::StateKind::kNone && record.script.needs_state()) return Fate::kEffect;
    if (record.script.act == Act::kDieUntilCured && redrives_.is_cured(record.serial))
        return Fate::kEither;
    return record.script.fate();
}

bool Oracle::is_resolved(const Produced& record, const HandlerPlan& plan) {
    if (fate_of(record, plan) == Fate::kSkipped) return true;
    const std::string& handler = plan.section.name;
    if (sent_[handler].records.contains({record.origin, record.offset})) return true;
    for (const auto* copy : by_serial_.at(record.serial)) {
        if (acked_[handler].copies.contains({copy->origin, copy->offset})) return true;
    }
    return false;
}

void Oracle::on_commit(const std::string& process, const std::string& group,
                       const TopicPartition& origin, Offset position) {
    const HandlerPlan* plan = plan_of_group(group);
    if (plan == nullptr) return on_fault("a commit of an unknown group " + group);
    read_topics();
    if (position > cluster_->logs().at(origin).end) {
        return on_fault(fmt::format("{}: {} commits {} offset {}, the log ends at {}", process,
                                    group, to_string(origin), position.value,
                                    cluster_->logs().at(origin).end.value));
    }
    Offset& checked = checked_[{group, origin}];
    const auto& records = produced_[origin];
    const Sent& sent = sent_[plan->section.name];
    const Acked& acked = acked_[plan->section.name];
    for (auto at = records.lower_bound(checked); at != records.end() && at->first < position;
         ++at) {
        const Produced& record = at->second;
        if (!is_resolved(record, *plan)) {
            on_fault(fmt::format("{}: {} commits {} offset {}, above the unresolved {}", process,
                                 group, to_string(origin), position.value, describe(record)));
        }
        if (plan->state == engine::StateKind::kNone || record.script.act != Act::kPublish ||
            by_serial_.at(record.serial).size() > 1 ||
            !acked.copies.contains({record.origin, record.offset}))
            continue;
        for (int i = 0; i < record.script.count; ++i) {
            if (sent.events.contains({record.serial, i})) continue;
            on_fault(fmt::format("{}: {} commits {} offset {}, event {} of {} is not out", process,
                                 group, to_string(origin), position.value, i, describe(record)));
        }
    }
    checked = std::max(checked, position);
}

std::string Oracle::describe(const Produced& record) const {
    return fmt::format("{} offset {} (event {} of {}, {} times {} count {} delay {})",
                       to_string(record.origin), record.offset.value, record.serial, record.user,
                       record.flavour == Flavour::kNormal ? to_string(record.script.act) : "odd",
                       record.script.times, record.script.count, record.script.delay);
}

}  // namespace millrace::simulation
