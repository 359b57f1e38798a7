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

// One letter of a record each time it died; a second one where the first may not have been known
// any more: its answer was lost, or what followed from it.
void Oracle::check_copies(const HandlerPlan& plan) {
    for (auto& [copy, letters] : sent_[plan.section.name].records) {
        std::ranges::sort(letters, {}, [](const Letter& letter) {
            return std::pair(letter.redrives, letter.asked_at);
        });
        for (std::size_t i = 1; i < letters.size(); ++i) {
            const Letter& first = letters[i - 1];
            const Letter& second = letters[i];
            if (first.redrives != second.redrives || first.process != second.process ||
                !first.answered || disturbances_.any_between(first.asked_at, second.asked_at))
                continue;
            on_fault(
                fmt::format("{}: {} offset {} has a second dead letter, and nothing had "
                            "happened to the first",
                            plan.section.name, to_string(copy.first), copy.second.value));
        }
    }
}

}  // namespace millrace::simulation
