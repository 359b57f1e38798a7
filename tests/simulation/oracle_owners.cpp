// Partitions and their owners: who may handle a record, and in which order several owners do.
#include <fmt/format.h>

#include <algorithm>

#include "simulation/oracle.hpp"

namespace millrace::simulation {

void OwnerWatch::called(const CallNote& note, const std::string& group, nanoseconds now) {
    if (redriven_.contains({note.origin, note.offset})) return;
    const auto found = until_.find({note.process, group, note.origin});
    if (found != until_.end() && now <= found->second) return;
    complain_(fmt::format("{}: {} handles {} of {} offset {}, a partition that it has let go of",
                          note.handler, note.process, note.serial, to_string(note.origin),
                          note.offset.value));
}

void Oracle::on_given(const std::string& process, const std::string& group,
                      const TopicPartition& origin) {
    disturbed(Disturbance::kMoved);
    owners_.given(process, group, origin);
}

void Oracle::on_gone(const std::string& process, const std::string& group,
                     const TopicPartition& origin, bool was_asked) {
    disturbed(Disturbance::kMoved);
    owners_.gone(process, group, origin,
                 scheduler_.now() + (was_asked ? nanoseconds(0) : scenario_.settles_in()));
}

// Whoever had an effect first, for each event: of one key and partition in the order of the log,
// whichever process it was. Not those that had more than one outcome.
void Oracle::check_order_across(const HandlerPlan& plan, const Rows& rows) {
    struct First {
        nanoseconds at{0};
        const LogRow* row = nullptr;
    };
    std::map<std::string, First> firsts;  // by serial
    const auto& acked = acked_[plan.section.name].last_at;
    const auto& letters = sent_[plan.section.name].records;
    for (const auto& row : rows) {
        const CopyKey copy{row.origin, row.offset};
        const auto at = acked.find({row.process, copy});
        if (row.what != "effect" || at == acked.end() || letters.contains(copy) ||
            redrives_.was_asked(plan.section.name, row.id))
            continue;
        First& first = firsts[row.id];
        if (first.row == nullptr || at->second < first.at) first = {at->second, &row};
    }
    std::map<std::string, std::vector<First>> lanes;
    for (const auto& [serial, first] : firsts)
        lanes[first.row->user + " " + to_string(first.row->origin)].push_back(first);
    for (auto& [lane, effects] : lanes) {
        std::ranges::sort(effects, {},
                          [](const First& each) { return std::pair(each.at, each.row->offset); });
        for (std::size_t i = 1; i < effects.size(); ++i) {
            const LogRow& before = *effects[i - 1].row;
            const LogRow& row = *effects[i].row;
            if (row.offset > before.offset) continue;
            on_fault(fmt::format("{}: {}: offset {} took effect in {} after offset {} had in {}",
                                 plan.section.name, lane, row.offset.value, row.process,
                                 before.offset.value, before.process));
        }
    }
}

}  // namespace millrace::simulation
