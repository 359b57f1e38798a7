#include "simulation/breaker_watch.hpp"

#include <fmt/format.h>

namespace millrace::simulation {

void BreakerWatch::called(const CallNote& note) {
    const HandlerPlan* plan = scenario_.plan_of(note.handler);
    if (plan == nullptr || redriven_.contains({note.origin, note.offset})) return;
    Partition& partition = partitions_[{note.process, note.handler, note.origin}];
    if (!note.completion) check_pace(note, partition, plan->section.breaker);
    if (!note.failed()) {
        if (note.kind == engine::OutcomeKind::kPending) return;
        partition = {{}, scheduler_.current_task(), {}, {}};
        return;
    }
    if (note.completion || note.attempt != 1 ||
        partition.succeeded_in_task == scheduler_.current_task())
        return;
    partition.streak.insert(note.offset);
    if (partition.open_since.count() == 0 &&
        partition.streak.size() >= plan->section.breaker.streak)
        partition.open_since = scheduler_.now();
}

void BreakerWatch::check_pace(const CallNote& note, Partition& partition,
                              const BreakerSection& section) {
    if (partition.open_since.count() == 0) return;
    const nanoseconds heard = partition.open_since + scenario_.settles_in() / 3;
    const nanoseconds before = std::exchange(partition.last_call, scheduler_.now());
    if (before < heard || partition.last_call - before >= section.initial / 2) return;
    complain_(
        fmt::format("{}: {} of {} offset {} is handled {} us after another one of its partition, "
                    "whose breaker has to be open since {} failed in a row",
                    note.handler, note.serial, to_string(note.origin), note.offset.value,
                    (partition.last_call - before).count() / 1'000, partition.streak.size()));
}

}  // namespace millrace::simulation
