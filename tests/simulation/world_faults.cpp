// What goes wrong in a world, and how it is healed.
#include "simulation/world.hpp"
#include "simulation/world_process.hpp"

namespace millrace::simulation {

template <class Act>
void World::from_time_to_time(nanoseconds mean, Act act) {
    if (mean.count() == 0) return;
    const auto wait = static_cast<std::int64_t>(-std::log(1.0 - random_.unit()) *
                                                static_cast<double>(mean.count()));
    fate_.later(nanoseconds(wait), [this, mean, act] {
        if (!troubled_) return;
        act();
        from_time_to_time(mean, act);
    });
}

void World::make_trouble() {
    const FaultPlan& plan = scenario_.faults;
    cluster_.faults = plan.cluster;
    http_faults_ = {plan.http_fails, plan.http_silent};
    scheduler_.stall_chance = plan.stall_chance;
    scheduler_.longest_stall = plan.longest_stall;
    for (const char* name : {"a", "b"}) disk_.faults(root_ + "/" + name) = plan.disk;
    from_time_to_time(plan.crash, [this] { plan_crash(); });
    const auto some_group = [this] {
        const auto groups = cluster_.groups();
        return groups.empty() ? std::string() : groups[random_.below(groups.size())];
    };
    from_time_to_time(plan.rebalance, [this, some_group] {
        if (const auto group = some_group(); !group.empty()) {
            scheduler_.trace("group {} is rebalanced", group);
            cluster_.rebalance(group);
        }
    });
    from_time_to_time(plan.loss, [this, some_group] {
        if (const auto group = some_group(); !group.empty()) {
            scheduler_.trace("a member of group {} loses its partitions", group);
            cluster_.lose(group);
        }
    });
    from_time_to_time(plan.clock_jump, [this] {
        clock_.jumped += std::chrono::seconds(random_.between(-300, 300));
        scheduler_.trace("the wall clock jumps");
    });
    from_time_to_time(plan.topic_away, [this] { trouble_with_a_topic(); });
    from_time_to_time(plan.disk_trouble, [this] { trouble_with_a_disk(); });
    from_time_to_time(plan.outage, [this] { trouble_outside(); });
    from_time_to_time(plan.redrive, [this] { redrive_some(); });
}

void World::trouble_with_a_topic() {
    const char* topics[] = {"tasks-dlq", "others-dlq", "out"};
    const std::string topic = topics[random_.below(3)];
    scheduler_.trace("topic {} is away", topic);
    cluster_.faults.away.insert(topic);
    fate_.later(milliseconds(random_.spread(10, 8'000)),
                [this, topic] { cluster_.faults.away.erase(topic); });
}

void World::trouble_with_a_disk() {
    const std::string folder = root_ + "/" + processes_[random_.below(processes_.size())]->name;
    scheduler_.trace("trouble with the disk {}", folder);
    oracle_.disk_trouble_begins();
    disk_.faults(folder) = scenario_.faults.trouble;
    if (scenario_.faults.trouble.is_full) limit_pages(folder, true);
    fate_.later(milliseconds(random_.spread(10, 5'000)), [this, folder] {
        disk_.faults(folder) = troubled_ ? scenario_.faults.disk : DiskFaults{};
        limit_pages(folder, false);
        oracle_.disk_trouble_ends();
    });
}

void World::trouble_outside() {
    scheduler_.trace("the outside is away");
    outside_.is_away = true;
    fate_.later(milliseconds(random_.spread(300, 12'000)), [this] {
        scheduler_.trace("the outside is back");
        outside_.is_away = false;
    });
}

// A full disk is felt before COMMIT too, where a table needs a page more.
void World::limit_pages(const std::string& folder, bool limited) {
    if (limited && !troubled_) return;
    if (disk_.limit_pages(folder, limited)) return;
    fate_.later(milliseconds(5), [this, folder, limited] { limit_pages(folder, limited); });
}

void World::heal() {
    troubled_ = false;
    scheduler_.trace("faults cease");
    const std::size_t max_batch = cluster_.faults.max_batch;
    cluster_.faults = {};
    cluster_.faults.max_batch = max_batch;
    http_faults_ = {};
    outside_.is_away = false;
    scheduler_.stall_chance = 0;
    crash_step_.reset();
    crash_operation_.reset();
    if (scenario_.faults.redrive.count() > 0) fate_.post([this] { redrive_all(); });
    for (const char* name : {"a", "b"}) {
        disk_.faults(root_ + "/" + name) = {};
        limit_pages(root_ + "/" + name, false);
    }
}

}  // namespace millrace::simulation
