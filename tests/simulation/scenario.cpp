#include "simulation/scenario.hpp"

#include <algorithm>

namespace millrace::simulation {
namespace {

using std::chrono::seconds;

HandlerSection make_section(const std::string& name, Rng& random, bool ring_is_small) {
    HandlerSection section;
    section.name = name;
    section.plugin = "model";
    section.topics = {"tasks", "others"};
    section.shards = static_cast<int>(random.between(1, 3));
    section.timeout = milliseconds(500);
    section.pending_timeout = milliseconds(1'500);
    section.retry = {milliseconds(4'000), milliseconds(20), milliseconds(500), 2.0};
    section.dedupe = ring_is_small ? static_cast<std::uint32_t>(random.between(2, 5)) : 10'000;
    section.max_in_flight =
        random.chance(0.3) ? static_cast<std::uint32_t>(random.between(1, 4)) : 1'000;
    section.max_buffered =
        random.chance(0.3) ? static_cast<std::uint32_t>(random.between(4, 20)) : 10'000;
    section.max_batch = random.chance(0.5) ? static_cast<std::uint32_t>(random.between(1, 6)) : 500;
    section.max_calls = kMaxCalls;
    section.call_timeout = milliseconds(1'000);
    section.call_retry_for = milliseconds(8'000);
    return section;
}

HandlerPlan make_handler(engine::StateKind state, const std::string& name, Rng& random,
                         bool ring_is_small) {
    return {state, random.chance(0.5), make_section(name, random, ring_is_small)};
}

void make_handlers(Scenario& scenario, Rng& random, bool ring_is_small) {
    using engine::StateKind;
    const double kind = random.unit();
    if (kind < 0.7) {
        scenario.handlers.push_back(
            make_handler(StateKind::kPerUser, "user", random, ring_is_small));
    } else if (kind < 0.9) {
        scenario.handlers.push_back(
            make_handler(StateKind::kPerPartition, "partition", random, ring_is_small));
    }
    if (kind >= 0.85)
        scenario.handlers.push_back(make_handler(StateKind::kNone, "none", random, ring_is_small));
}

// A few kinds in each seed, each more often then.
void make_acts(Scenario& scenario, Rng& random) {
    scenario.acts.push_back(Act::kAck);
    if (random.chance(0.5)) scenario.acts.push_back(Act::kAck);
    const auto kinds = random.between(1, 7);
    for (std::int64_t i = 0; i < kinds; ++i)
        scenario.acts.push_back(static_cast<Act>(random.between(1, static_cast<int>(Act::kLast))));
}

nanoseconds every(Rng& random, double probability, std::int64_t least_ms, std::int64_t most_ms) {
    return random.chance(probability) ? milliseconds(random.spread(least_ms, most_ms))
                                      : milliseconds(0);
}

FaultPlan make_faults(Rng& random, int processes) {
    FaultPlan plan;
    plan.crash = every(random, 0.6, 500, 8'000);
    plan.rebalance = every(random, processes > 1 ? 0.7 : 0.3, 500, 8'000);
    plan.loss = every(random, 0.3, 1'000, 8'000);
    plan.clock_jump = every(random, 0.2, 1'000, 5'000);
    plan.topic_away = every(random, 0.4, 1'000, 8'000);
    plan.disk_trouble = every(random, 0.35, 1'000, 8'000);
    if (random.chance(0.5)) {
        plan.stall_chance = 0.02 * random.unit();
        plan.longest_stall = milliseconds(random.spread(5, 2'000));
    }
    if (random.chance(0.4)) plan.cluster.publish_fails = 0.3 * random.unit();
    if (random.chance(0.4)) plan.cluster.answer_lost = 0.3 * random.unit();
    if (random.chance(0.3)) plan.cluster.question_fails = 0.5 * random.unit();
    plan.cluster.arrives_anyway = random.unit();
    if (random.chance(0.4)) plan.cluster.gap = 0.3 * random.unit();
    plan.cluster.latency = milliseconds(random.spread(1, 60));
    plan.cluster.max_batch = static_cast<std::size_t>(random.between(1, 20));
    if (random.chance(0.6)) plan.disk.sync_takes = milliseconds(random.spread(1, 200));
    if (random.chance(0.7)) plan.trouble.is_full = random.chance(0.5);
    if (random.chance(0.5)) plan.trouble.write_fails = 0.3 * random.unit();
    if (random.chance(0.5)) plan.trouble.full = 0.3 * random.unit();
    if (random.chance(0.3)) plan.trouble.read_fails = 0.1 * random.unit();
    if (random.chance(0.5)) plan.trouble.sync_fails = 0.5 * random.unit();
    if (random.chance(0.3)) plan.trouble.open_fails = 0.3 * random.unit();
    if (random.chance(0.5)) plan.trouble.sync_takes = milliseconds(random.spread(10, 2'000));
    plan.http_fails = random.chance(0.5) ? 0.5 * random.unit() : 0;
    plan.http_silent = random.chance(0.3) ? 0.3 * random.unit() : 0;
    return plan;
}

// What the handler depends on goes away for a while, and breakers open soon.
void make_outages(Scenario& scenario, Rng& random) {
    scenario.breakers_open = random.chance(0.2);
    if (!scenario.breakers_open) return;
    for (auto& plan : scenario.handlers) {
        plan.section.breaker = {static_cast<std::uint32_t>(random.between(2, 5)),
                                0.5 + 0.5 * random.unit(),
                                static_cast<std::uint32_t>(random.between(4, 10)),
                                milliseconds(100), milliseconds(1'000)};
    }
    scenario.faults.outage = milliseconds(random.spread(500, 4'000));
    scenario.acts.insert(scenario.acts.end(), 1 + scenario.acts.size(), Act::kNeedsOutside);
    scenario.users = static_cast<int>(random.between(3, 10));
    scenario.events += 20;
    // Where reading stops for a held key, no good record gets through to close the breaker.
    scenario.poison = random.chance(0.5);
    for (auto& plan : scenario.handlers) {
        if (scenario.poison) plan.section.max_buffered = 10'000;
    }
    if (!scenario.poison) {
        std::erase_if(scenario.acts,
                      [](Act act) { return act == Act::kExhaust || act == Act::kPendingNever; });
    }
}

// Limits that are soon reached. Not where breakers open: what closes them must get through.
void make_bounds(Scenario& scenario, Rng& random) {
    if (scenario.breakers_open || !random.chance(0.15)) return;
    const auto small = [&](std::int64_t least, std::int64_t most) {
        return static_cast<std::uint32_t>(random.between(least, most));
    };
    for (auto& plan : scenario.handlers) {
        HandlerSection& section = plan.section;
        if (random.chance(0.5)) section.max_in_flight = small(1, 3);
        if (random.chance(0.7)) section.max_buffered = small(2, 6);
        if (random.chance(0.3)) section.max_buffered_bytes = small(300, 1'000);
        if (random.chance(0.5)) section.max_ahead = small(1, 6);
        if (random.chance(0.3)) section.max_intervals = small(1, 3);
        if (random.chance(0.5)) section.max_outbox = small(1, 3);
    }
    if (random.chance(0.7)) scenario.faults.cluster.gap = 0;
    scenario.faults.cluster.max_batch = small(1, 3);
    scenario.acts.insert(scenario.acts.end(), {Act::kAck, Act::kPending, Act::kPublish});
    if (random.chance(0.5)) scenario.acts.push_back(Act::kExhaust);
    scenario.users += 6;
    scenario.events += 60;
}

// A ring must remember what was done until it is given back once more.
void make_redrives(Scenario& scenario, Rng& random, bool ring_is_small) {
    if (ring_is_small || !random.chance(0.25)) return;
    scenario.faults.redrive = milliseconds(random.spread(200, 3'000));
    scenario.acts.insert(scenario.acts.end(), 2, Act::kDieUntilCured);
}

}  // namespace

bool Scenario::undoes_batches() const {
    return std::ranges::any_of(acts, [](Act act) {
        return act == Act::kOrRollback || act == Act::kRaiseRollback || act == Act::kHangInSql;
    });
}

const HandlerPlan* Scenario::plan_of(const std::string& handler) const {
    for (const auto& plan : handlers) {
        if (plan.section.name == handler) return &plan;
    }
    return nullptr;
}

Scenario make_scenario(std::uint64_t seed) {
    Rng random(seed ^ 0x5ce4a710U);
    Scenario scenario;
    scenario.processes = random.chance(0.35) ? 2 : 1;
    const bool ring_is_small = scenario.processes == 1 && random.chance(0.3);
    make_handlers(scenario, random, ring_is_small);
    scenario.events = static_cast<int>(random.spread(6, 60));
    scenario.users = static_cast<int>(random.between(1, 8));
    make_acts(scenario, random);
    if (!ring_is_small && random.chance(0.6)) scenario.duplicates = 0.4 * random.unit();
    if (random.chance(0.4)) scenario.odd = 0.3 * random.unit();
    if (random.chance(0.3)) scenario.without_id = 0.5 * random.unit();
    if (random.chance(0.3)) scenario.other_topic = 0.5 * random.unit();
    if (random.chance(0.3)) scenario.keyed_otherwise = random.unit();
    scenario.duration = milliseconds(random.spread(20, 15'000));
    const int pages[] = {2, 10, 50, 1'000};
    scenario.checkpoint_pages = pages[random.below(4)];
    scenario.revoke_timeout = milliseconds(random.spread(10, 2'500));
    scenario.ends_with_crash = random.chance(0.5);
    scenario.faults = make_faults(random, scenario.processes);
    Rng later(seed ^ 0x0a7a9e5U);  // what was thought of later shifts nothing above
    make_outages(scenario, later);
    make_redrives(scenario, later, ring_is_small);
    Rng bounded(seed ^ 0xb0ded5U);
    // Not in each 64th: few worlds show a mutation of epochs, and 1,024 is one.
    if (seed % 64 != 0) make_bounds(scenario, bounded);
    return scenario;
}

Scenario small_scenario() {
    Rng random(1);
    Scenario scenario;
    scenario.handlers.push_back(make_handler(engine::StateKind::kPerUser, "user", random, false));
    HandlerSection& section = scenario.handlers.back().section;
    section.shards = 2;
    section.max_in_flight = 1'000;
    section.max_buffered = 10'000;
    section.max_batch = 4;
    scenario.events = 12;
    scenario.users = 3;
    scenario.acts = {Act::kAck,     Act::kFlaky, Act::kDie,  Act::kPending, Act::kOrRollback,
                     Act::kPublish, Act::kTimer, Act::kCall, Act::kAck};
    scenario.duplicates = 0.3;
    scenario.duration = milliseconds(100);
    scenario.faults.cluster.max_batch = 4;
    scenario.faults.disk.sync_takes = milliseconds(2);
    return scenario;
}

}  // namespace millrace::simulation
