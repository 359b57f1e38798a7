#include "simulation/sim_runtime.hpp"

#include <algorithm>

namespace millrace::simulation {
namespace {

constexpr int kDeepestSleep = 6;  // sleeps inside one another; deeper ones block everybody
constexpr nanoseconds kTaskTakes{100'000};  // at most

class SimTimer final : public Timer {
public:
    SimTimer(Scheduler& scheduler, std::shared_ptr<Scheduler::TimerState> state)
        : scheduler_(scheduler), state_(std::move(state)) {}
    ~SimTimer() override { scheduler_.cancel(*state_); }

private:
    Scheduler& scheduler_;
    std::shared_ptr<Scheduler::TimerState> state_;
};

class SimPool final : public WorkerPool {
public:
    SimPool(Scheduler& scheduler, std::string name, LifePtr life)
        : scheduler_(scheduler), name_(std::move(name)), life_(std::move(life)) {}
    std::shared_ptr<Strand> make_strand() override {
        return std::make_shared<SimStrand>(scheduler_, name_, life_);
    }

private:
    Scheduler& scheduler_;
    std::string name_;
    LifePtr life_;
};

}  // namespace

Scheduler::~Scheduler() {
    runnable_.clear();
    for (const auto& weak : queues_) {
        if (const auto queue = weak.lock()) queue->entries.clear();
    }
    timers_.clear();
}

Scheduler::QueuePtr Scheduler::make_queue(std::string name, LifePtr life) {
    auto queue = std::make_shared<Queue>();
    queue->number = ++next_queue_;
    queue->name = std::move(name);
    queue->life = std::move(life);
    if (queues_.size() > 256 && queues_.size() % 256 == 0)
        std::erase_if(queues_, [](const auto& weak) { return weak.expired(); });
    queues_.push_back(queue);
    return queue;
}

void Scheduler::post(const QueuePtr& queue, Task task) {
    if (queue->life && !queue->life->alive) return;
    queue->entries.push_back({std::move(task), nullptr});
    make_runnable(queue);
}

std::shared_ptr<Scheduler::TimerState> Scheduler::after(const QueuePtr& queue, nanoseconds delay,
                                                        Task task) {
    auto state = std::make_shared<TimerState>();
    if (queue->life && !queue->life->alive) {
        state->waiting = false;
        return state;
    }
    state->key = {now_ + std::max(delay, nanoseconds(0)), ++next_timer_};
    timers_.emplace(state->key, TimerEntry{queue, std::move(task), state});
    return state;
}

void Scheduler::cancel(TimerState& timer) {
    timer.cancelled = true;
    if (!timer.waiting) return;
    timer.waiting = false;
    const auto found = timers_.find(timer.key);
    if (found == timers_.end()) return;
    const TimerEntry removed = std::move(found->second);  // destroyed when it is out of the map
    timers_.erase(found);
}

void Scheduler::make_runnable(const QueuePtr& queue) {
    if (queue->slot != kNoSlot || queue->running || queue->stalled || queue->entries.empty())
        return;
    if (queue->life && !queue->life->alive) return;
    queue->slot = runnable_.size();
    runnable_.push_back(queue);
}

void Scheduler::remove_runnable(Queue& queue) {
    if (queue.slot == kNoSlot) return;
    const std::size_t slot = std::exchange(queue.slot, kNoSlot);
    if (slot + 1 != runnable_.size()) {
        runnable_[slot] = runnable_.back();
        runnable_[slot]->slot = slot;
    }
    runnable_.pop_back();
}

void Scheduler::fire_due() {
    while (!timers_.empty() && timers_.begin()->first.first <= now_) {
        TimerEntry due = std::move(timers_.begin()->second);
        timers_.erase(timers_.begin());
        if (!due.state) {
            due.queue->stalled = false;
        } else {
            due.state->waiting = false;
            due.queue->entries.push_back({std::move(due.task), due.state});
        }
        make_runnable(due.queue);
    }
}

bool Scheduler::step(nanoseconds limit) {
    if (before_step) before_step();
    return step_inside(limit);
}

bool Scheduler::step_inside(nanoseconds limit) {
    fire_due();
    if (!runnable_.empty()) {
        const QueuePtr queue = runnable_[random_.below(runnable_.size())];
        if (random_.chance(stall_chance)) {
            remove_runnable(*queue);
            queue->stalled = true;
            const nanoseconds until =
                now_ + nanoseconds(random_.spread(1'000'000, longest_stall.count()));
            timers_.emplace(std::pair{until, ++next_timer_}, TimerEntry{queue, {}, nullptr});
            return true;
        }
        run(queue);
        return true;
    }
    if (timers_.empty() || timers_.begin()->first.first > limit) {
        now_ = std::max(now_, limit);
        return false;
    }
    now_ = timers_.begin()->first.first;
    fire_due();
    return true;
}

void Scheduler::run(const QueuePtr& queue) {
    remove_runnable(*queue);
    ++steps_;
    mix(queue->number);
    mix(static_cast<std::uint64_t>(now_.count()));
    {
        Entry entry = std::move(queue->entries.front());
        queue->entries.pop_front();
        if (entry.timer && entry.timer->cancelled) {
            make_runnable(queue);
            return;
        }
        Frame frame{queue.get(), queue->life.get(), frame_, steps_};
        frame_ = &frame;
        queue->running = true;
        if (frame.life) ++frame.life->frames;
        entry.task();
        entry = {};
        if (frame.life) --frame.life->frames;
        queue->running = false;
        frame_ = frame.below;
    }
    now_ += nanoseconds(random_.below(static_cast<std::uint64_t>(kTaskTakes.count())));
    if (!queue->life || queue->life->alive) make_runnable(queue);
}

void Scheduler::sleep(nanoseconds duration) {
    const nanoseconds until = now_ + duration;
    if (in_ended_life()) return;
    if (frame_ == nullptr || depth_ >= kDeepestSleep) {
        now_ = std::max(now_, until);
        return;
    }
    ++depth_;
    while (now_ < until && !in_ended_life()) step(until);
    --depth_;
}

void Scheduler::end(const LifePtr& life) {
    life->alive = false;
    for (const auto& weak : queues_) {
        const auto queue = weak.lock();
        if (queue && queue->life == life) remove_runnable(*queue);
    }
    for (auto& [key, entry] : timers_) {
        if (entry.queue->life == life && entry.state) entry.state->cancelled = true;
    }
}

std::vector<Scheduler::Entry> Scheduler::take_all(const LifePtr& life) {
    std::vector<Entry> all;
    for (const auto& weak : queues_) {
        const auto queue = weak.lock();
        if (!queue || queue->life != life) continue;
        for (auto& entry : queue->entries) all.push_back(std::move(entry));
        queue->entries.clear();
        remove_runnable(*queue);
    }
    for (auto entry = timers_.begin(); entry != timers_.end();) {
        if (entry->second.queue->life != life) {
            ++entry;
            continue;
        }
        if (entry->second.state) entry->second.state->waiting = false;
        all.push_back({std::move(entry->second.task), entry->second.state});
        entry = timers_.erase(entry);
    }
    return all;
}

void Scheduler::bury(const LifePtr& life, const std::function<void()>& destroy) {
    Frame frame{nullptr, life.get(), frame_, steps_};
    frame_ = &frame;
    take_all(life).clear();
    destroy();
    take_all(life).clear();
    frame_ = frame.below;
}

Timestamp SimClock::now() const {
    return Timestamp(std::chrono::microseconds(1'767'225'600'000'000)) + jumped +
           std::chrono::duration_cast<std::chrono::microseconds>(scheduler_.now());
}

std::unique_ptr<Timer> SimStrand::after(milliseconds delay, Task task) {
    return std::make_unique<SimTimer>(scheduler_, scheduler_.after(queue_, delay, std::move(task)));
}

std::unique_ptr<WorkerPool> SimRuntime::make_pool(const std::string& name, std::size_t) {
    return std::make_unique<SimPool>(scheduler_, life_->name + "." + name, life_);
}

}  // namespace millrace::simulation
