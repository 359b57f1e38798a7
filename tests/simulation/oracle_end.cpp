// What the oracle makes of a world that has become quiet.
#include <fmt/format.h>

#include <algorithm>

#include "simulation/oracle.hpp"

namespace millrace::simulation {

void Oracle::check_end() {
    read_topics();
    const Rows all = read_logs(CrashKind::kProcess);
    for (const auto& plan : scenario_.handlers) {
        check_letters(plan);
        check_copies(plan);
        if (plan.state == engine::StateKind::kNone) {
            check_stateless(plan);
            continue;
        }
        Rows rows;
        for (const auto& row : all) {
            if (row.handler == plan.section.name) rows.push_back(row);
        }
        check_records(plan, rows);
        check_order(plan, rows);
        check_order_across(plan, rows);
        check_timers(plan, rows);
        check_calls(plan, rows);
        check_events(plan, rows);
        check_redrives(plan, rows);
    }
}

void Oracle::check_records(const HandlerPlan& plan, const Rows& rows) {
    std::map<std::string, std::vector<const LogRow*>> effects;
    for (const auto& row : rows) {
        if (row.what != "effect") continue;
        ++tally_.effects;
        effects[row.id].push_back(&row);
        if (!by_serial_.contains(row.id))
            on_fault(fmt::format("an effect of an event that never was: {}", row.id));
    }
    for (const auto& [origin, records] : produced_) {
        for (const auto& [offset, record] : records)
            check_record(plan, record, effects[record.serial]);
    }
    for (const auto& [serial, of_serial] : effects) check_repeats(plan, serial, of_serial);
}

void Oracle::check_record(const HandlerPlan& plan, const Produced& record,
                          const std::vector<const LogRow*>& effects) {
    const CopyKey copy{record.origin, record.offset};
    const auto& letters = sent_[plan.section.name].records;
    const auto letter = letters.find(copy);
    const bool dead = letter != letters.end();
    const Fate fate = fate_of(record, plan);
    const bool fits = fate == Fate::kEffect   ? !effects.empty() && !dead
                      : fate == Fate::kDead   ? effects.empty() && dead
                      : fate == Fate::kEither ? !effects.empty() || dead
                                              : effects.empty() && !dead;
    if (!fits) {
        on_fault(fmt::format("{}: {} has {} effects and {} dead letters, must have {}",
                             plan.section.name, describe(record), effects.size(),
                             dead ? letter->second.size() : 0, to_string(fate)));
    }
    if (fate != Fate::kEither || !dead) return;
    // Both only if it was given back, or run again because the first outcome was lost on the way,
    // or by another owner, who may have begun before the first one knew.
    if (redrives_.was_asked(plan.section.name, record.serial)) return;
    if (owners_of(record.origin, plan) > 1) return;
    for (const auto* effect : effects) {
        if (effect->origin != record.origin || effect->offset != record.offset) continue;
        const auto& steps = acked_[plan.section.name].last_at;
        const auto acked = steps.find({effect->process, copy});
        const nanoseconds at = acked == steps.end() ? nanoseconds(0) : acked->second;
        if (std::ranges::none_of(letter->second, [&](const Letter& each) {
                return disturbances_.any_between(each.asked_at, at);
            }))
            on_fault(fmt::format("{}: {} was dead-lettered and has an effect in {}",
                                 plan.section.name, describe(record), effect->process));
    }
}

std::size_t Oracle::owners_of(const TopicPartition& origin, const HandlerPlan& plan) const {
    std::set<std::string> owners;
    for (const auto& tenure : cluster_->tenures()) {
        if (tenure.origin == origin && tenure.group == group_of(plan.section.name))
            owners.insert(tenure.process);
    }
    return owners.size();
}

void Oracle::check_repeats(const HandlerPlan& plan, const std::string& serial,
                           const std::vector<const LogRow*>& effects) {
    for (std::size_t i = 0; i < effects.size(); ++i) {
        for (std::size_t j = i + 1; j < effects.size(); ++j) {
            if (may_repeat(plan, *effects[i], *effects[j])) {
                ++tally_.repeats;
                continue;
            }
            on_fault(
                fmt::format("{}: event {} took effect twice: {} shard {} row {} ({} offset {}) and "
                            "{} shard {} row "
                            "{} ({} offset {})",
                            plan.section.name, serial, effects[i]->process, effects[i]->shard,
                            effects[i]->n, to_string(effects[i]->origin), effects[i]->offset.value,
                            effects[j]->process, effects[j]->shard, effects[j]->n,
                            to_string(effects[j]->origin), effects[j]->offset.value));
        }
    }
}

// At different owners: what the later one found uncommitted when it was given the partition. Copies
// that a producer sent are known to their owner only.
bool Oracle::may_repeat(const HandlerPlan& plan, const LogRow& first, const LogRow& second) const {
    const bool by_partition = plan.state == engine::StateKind::kPerPartition;
    const bool same_copy = first.origin == second.origin && first.offset == second.offset;
    if (!same_copy && by_partition && first.origin != second.origin) return true;
    if (first.process == second.process) return false;
    if (redrives_.was_asked(plan.section.name, first.id)) return true;
    if (!same_copy) return true;
    const auto acked = acked_.find(plan.section.name);
    if (acked == acked_.end()) return false;
    const CopyKey copy{first.origin, first.offset};
    const auto when = [&](const LogRow& row) {
        const auto found = acked->second.last_at.find({row.process, copy});
        return found == acked->second.last_at.end() ? nanoseconds(0) : found->second;
    };
    const LogRow& later = when(first) < when(second) ? second : first;
    const Tenure* began = nullptr;
    for (const auto& tenure : cluster_->tenures()) {
        if (tenure.process == later.process && tenure.origin == later.origin &&
            tenure.group == group_of(plan.section.name) && tenure.since <= when(later))
            began = &tenure;
    }
    return began != nullptr && began->committed.value_or(Offset{0}) <= later.offset;
}

void Oracle::check_order(const HandlerPlan& plan, const Rows& rows) {
    struct Last {
        Offset offset{-1};
        std::string serial;
    };
    std::map<std::string, Last> last;
    for (const auto& row : rows) {
        // What was given back stands where it came back.
        if (row.what != "effect" || redrives_.was_asked(plan.section.name, row.id)) continue;
        const std::string lane = fmt::format("{} shard {} user {} {}", row.process, row.shard,
                                             row.user, to_string(row.origin));
        Last& before = last[lane];
        if (row.offset <= before.offset) {
            on_fault(fmt::format("{}: {}: offset {} ({}) after offset {} ({})", plan.section.name,
                                 lane, row.offset.value, row.id, before.offset.value,
                                 before.serial));
        }
        before = {row.offset, row.id};
    }
}

// Each setting of a timer ends once: it fired, was replaced or cancelled, or became a dead letter.
void Oracle::check_timers(const HandlerPlan& plan, const Rows& rows) {
    std::map<std::string, std::string> armed;  // by process, shard and id: the version
    const auto complain = [&](const LogRow& row, const std::string& what) {
        on_fault(fmt::format("{}: {} shard {} row {}: timer '{}' {}", plan.section.name,
                             row.process, row.shard, row.n, row.id, what));
    };
    const auto& dead = sent_[plan.section.name].timers;
    std::map<std::string, const LogRow*> set_by;
    for (const auto& row : rows) {
        const std::string key = row.process + "/" + row.shard + "/" + row.id;
        const auto is = armed.find(key);
        if (row.what == "set") {
            armed[key] = row.version;
            set_by[key] = &row;
        } else if (row.what == "fired") {
            if (is == armed.end() || is->second != row.version)
                complain(row, fmt::format("fired as set by {}, but is {}", row.version,
                                          is == armed.end() ? "not set" : "set by " + is->second));
            armed.erase(key);
        } else if (row.what == "cancelled") {
            if (is == armed.end()) complain(row, "was cancelled, but was not set");
            armed.erase(key);
        } else if (row.what == "missed" && is != armed.end()) {
            complain(row, "was there, but not to be cancelled");
        }
    }
    for (const auto& [key, version] : armed) {
        if (!dead.contains(set_by.at(key)->id))
            complain(*set_by.at(key), "was set, and nothing came of it");
    }
}

void Oracle::check_calls(const HandlerPlan& plan, const Rows& rows) {
    struct Call {
        int asked = 0;  // copies of one event ask in each shard
        int answered = 0;
    };
    std::map<std::string, Call> calls;  // by process and id
    const auto& dead = sent_[plan.section.name].calls;
    for (const auto& row : rows) {
        if (row.what == "asked") ++calls[row.process + " " + row.id].asked;
        if (row.what == "answered") ++calls[row.process + " " + row.id].answered;
    }
    for (const auto& [call, count] : calls) {
        const bool is_dead = dead.contains(call.substr(call.find(' ') + 1));
        if (is_dead ? count.answered > 0 : count.answered != count.asked)
            on_fault(fmt::format("{}: call {} was made {} times and answered {} times{}",
                                 plan.section.name, call, count.asked, count.answered,
                                 is_dead ? ", and a dead letter" : ""));
    }
}

void Oracle::check_events(const HandlerPlan& plan, const Rows& rows) {
    std::map<std::pair<std::string, int>, std::size_t> wanted;  // and how often it was made
    const auto& sent = sent_[plan.section.name];
    for (const auto& row : rows) {
        if (row.what == "fired" && row.id.starts_with("own ")) ++wanted[{row.id, 0}];
        if (row.what != "effect" || !by_serial_.contains(row.id)) continue;
        const Produced& record = *by_serial_.at(row.id).front();
        if (record.script.act == Act::kPublish) {
            for (int i = 0; i < record.script.count; ++i) ++wanted[{row.id, i}];
        }
        if (record.script.act == Act::kPublishRefused &&
            !sent.refused_events.contains({row.origin, row.offset}))
            on_fault(fmt::format("{}: the refused event of {} is no dead letter", plan.section.name,
                                 describe(record)));
    }
    for (const auto& [event, needed] : wanted) {
        if (!sent.events.contains(event))
            on_fault(fmt::format("{}: event {} of {} was never published", plan.section.name,
                                 event.second, event.first));
    }
    // A timer that two shards set fires in each, as two firings.
    for (const auto& [event, ids] : sent.events) {
        const bool of_timer = event.first.starts_with("own ");
        if (!wanted.contains(event))
            on_fault(fmt::format("{}: event {} of {} was published, but its input had no effect",
                                 plan.section.name, event.second, event.first));
        if (ids.size() > (of_timer ? wanted[event] : 1))
            on_fault(fmt::format("{}: event {} of {} was published under {} ids", plan.section.name,
                                 event.second, event.first, ids.size()));
    }
}

void Oracle::check_stateless(const HandlerPlan& plan) {
    for (const auto& [origin, records] : produced_) {
        for (const auto& [offset, record] : records) {
            if (!is_resolved(record, plan))
                on_fault(fmt::format("{}: {} was lost", plan.section.name, describe(record)));
        }
    }
}

}  // namespace millrace::simulation
