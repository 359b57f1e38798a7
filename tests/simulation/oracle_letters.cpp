// What lies in the dead-letter topics at the end.
#include <fmt/format.h>

#include <algorithm>

#include "simulation/oracle.hpp"

namespace millrace::simulation {

void Oracle::check_letters(const HandlerPlan& plan) {
    for (const auto& timer : sent_[plan.section.name].timers) {
        const auto serial = timer.starts_with("own ") ? timer.substr(4) : std::string();
        const auto found = by_serial_.find(serial);
        const bool may_die =
            found != by_serial_.end() && (found->second.front()->script.act == Act::kTimerDie ||
                                          found->second.front()->script.act == Act::kTimerFlaky);
        if (!may_die)
            on_fault(fmt::format("{}: timer '{}' became a dead letter", plan.section.name, timer));
    }
    for (const auto& call : sent_[plan.section.name].calls) {
        const auto found = by_serial_.find(call.substr(0, call.find('.')));
        if (found == by_serial_.end() || found->second.front()->script.act != Act::kCallDie)
            on_fault(fmt::format("{}: call {} became a dead letter", plan.section.name, call));
    }
}

// One letter of a record each time it died; one more where one may not have been known any more:
// its answer was lost, or what followed from it.
void Oracle::check_copies(const HandlerPlan& plan) {
    for (auto& [copy, letters] : sent_[plan.section.name].records) {
        std::ranges::sort(letters, {}, &Letter::asked_at);
        std::map<int, std::vector<const Letter*>> by_number;
        for (const auto& letter : letters) by_number[letter.redrives].push_back(&letter);
        for (const auto& [number, same] : by_number) {
            std::size_t most = number == 0 ? 1 : redrives_.times(plan.section.name, copy, number);
            for (std::size_t i = 0; i < same.size(); ++i) {
                const bool again =
                    i > 0 && (same[i]->process != same[i - 1]->process ||
                              disturbances_.any_between(same[i - 1]->asked_at, same[i]->asked_at));
                if (again || !same[i]->answered) ++most;
            }
            if (same.size() <= most) continue;
            on_fault(fmt::format(
                "{}: {} offset {} has {} dead letters, and nothing happened that "
                "explains more than {}",
                plan.section.name, to_string(copy.first), copy.second.value, same.size(), most));
        }
    }
}

}  // namespace millrace::simulation
