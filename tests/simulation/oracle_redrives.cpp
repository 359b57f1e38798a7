// What became of dead letters that were given back.
#include <fmt/format.h>

#include <algorithm>

#include "simulation/oracle.hpp"

namespace millrace::simulation {

const Produced* Oracle::find(const CopyKey& copy) const {
    const auto records = produced_.find(copy.first);
    if (records == produced_.end()) return nullptr;
    const auto record = records->second.find(copy.second);
    return record == records->second.end() ? nullptr : &record->second;
}

std::size_t Oracle::redrive_asked(Redrive redrive) {
    ++tally_.redriven;
    attempts_.redriven(redrive.copy);
    breakers_.redriven(redrive.copy);
    owners_.redriven(redrive.copy);
    return redrives_.asked(std::move(redrive));
}

// What a process took has its effect there, or has died there once more.
void Oracle::check_redrives(const HandlerPlan& plan, const Rows& rows) {
    const auto& letters = sent_[plan.section.name].records;
    for (const auto& redrive : redrives_.all()) {
        if (redrive.handler != plan.section.name || !redrive.accepted) continue;
        const bool effective = std::ranges::any_of(rows, [&](const LogRow& row) {
            return row.what == "effect" && row.id == redrive.serial &&
                   row.process == redrive.process;
        });
        const auto letter = letters.find(redrive.copy);
        const bool dead =
            letter != letters.end() && std::ranges::any_of(letter->second, [&](const Letter& each) {
                return each.redrives >= redrive.number && each.process == redrive.process;
            });
        if (effective || dead) continue;
        on_fault(fmt::format("{}: {} of {} offset {} was given back to {}, and nothing came of it",
                             plan.section.name, redrive.serial, to_string(redrive.copy.first),
                             redrive.copy.second.value, redrive.process));
    }
}

}  // namespace millrace::simulation
