// Scheduler and SimRuntime: the threads, the timers and the clock of a simulated world, on one real
// thread.
//
// Tasks of a strand run in the order they were posted; which strand runs next is drawn. Time moves
// a little with each task, and to the next timer when nothing can run. A strand can be stalled, as
// a thread that the machine does not run. `sleep` inside a task lets the other strands run
// meanwhile: so a handler hangs, and a slow fsync overlaps with the next batch.
//
// A Life is one run of a simulated process. When it ends (`end`), nothing of it runs any more; a
// task that is in the middle goes on until it returns, into the void. `bury` then destroys what is
// left. Ownership: queues are shared by strands and scheduler.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/runtime.hpp"
#include "simulation/sim_random.hpp"

namespace millrace::simulation {

using std::chrono::nanoseconds;

struct Life {
    std::string name;
    bool alive = true;
    int frames = 0;  // of its tasks on the stack
};
using LifePtr = std::shared_ptr<Life>;

class Scheduler {
public:
    struct TimerState {
        bool cancelled = false;
        bool waiting = true;
        std::pair<nanoseconds, std::uint64_t> key{};
    };
    struct Entry {
        Task task;
        std::shared_ptr<TimerState> timer;  // nullptr: posted
    };
    struct Queue {
        std::uint32_t number = 0;
        std::string name;
        LifePtr life;  // nullptr: the world's own
        std::deque<Entry> entries;
        bool running = false;
        bool stalled = false;
        std::size_t slot = kNoSlot;
    };
    using QueuePtr = std::shared_ptr<Queue>;
    static constexpr std::size_t kNoSlot = static_cast<std::size_t>(-1);

    explicit Scheduler(Rng random) : random_(random) {}
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    QueuePtr make_queue(std::string name, LifePtr life);
    void post(const QueuePtr& queue, Task task);
    std::shared_ptr<TimerState> after(const QueuePtr& queue, nanoseconds delay, Task task);
    void cancel(TimerState& timer);

    // Runs one task, or moves the clock to the next timer. False: nothing happens before `limit`,
    // where the clock is then.
    bool step(nanoseconds limit);
    // From inside a task: time passes, others run. Returns early when the caller's life has ended.
    void sleep(nanoseconds duration);

    void end(const LifePtr& life);
    void bury(const LifePtr& life, const std::function<void()>& destroy);

    nanoseconds now() const { return now_; }
    std::uint64_t steps() const { return steps_; }
    std::uint64_t hash() const { return hash_; }
    void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3U; }
    const Life* current_life() const { return frame_ == nullptr ? nullptr : frame_->life; }
    const Queue* current_queue() const { return frame_ == nullptr ? nullptr : frame_->queue; }
    // The step at which the current task began: the same before and after a sleep.
    std::uint64_t current_task() const { return frame_ == nullptr ? 0 : frame_->began; }
    // The current task may do nothing that anyone sees.
    bool in_ended_life() const { return frame_ != nullptr && frame_->life && !frame_->life->alive; }

    double stall_chance = 0;
    nanoseconds longest_stall{0};
    std::function<void()> before_step;  // may end lives
    // For people: what happens, where it is set.
    std::function<void(const std::string& text)> tracer;
    template <class... Args>
    void trace(fmt::format_string<Args...> format, Args&&... args) const {
        if (tracer) tracer(fmt::format(format, std::forward<Args>(args)...));
    }

private:
    struct Frame {
        const Queue* queue;
        Life* life;
        Frame* below;
        std::uint64_t began;
    };
    struct TimerEntry {
        QueuePtr queue;
        Task task;
        std::shared_ptr<TimerState> state;  // nullptr: the end of a stall
    };
    void make_runnable(const QueuePtr& queue);
    void remove_runnable(Queue& queue);
    void fire_due();
    void run(const QueuePtr& queue);
    bool step_inside(nanoseconds limit);
    std::vector<Entry> take_all(const LifePtr& life);

    Rng random_;
    nanoseconds now_{0};
    std::uint64_t steps_ = 0;
    std::uint64_t hash_ = 0xcbf29ce484222325U;
    std::uint32_t next_queue_ = 0;
    std::uint64_t next_timer_ = 0;
    int depth_ = 0;
    Frame* frame_ = nullptr;
    std::vector<QueuePtr> runnable_;
    std::vector<std::weak_ptr<Queue>> queues_;
    std::map<std::pair<nanoseconds, std::uint64_t>, TimerEntry> timers_;
};

// The wall clock of the world: moves with the scheduler's, and jumps.
class SimClock final : public Clock {
public:
    explicit SimClock(const Scheduler& scheduler) : scheduler_(scheduler) {}
    Timestamp now() const override;
    nanoseconds monotonic() const override { return std::chrono::seconds(1) + scheduler_.now(); }
    std::chrono::microseconds jumped{0};

private:
    const Scheduler& scheduler_;
};

class SimStrand final : public Strand {
public:
    SimStrand(Scheduler& scheduler, std::string name, LifePtr life)
        : scheduler_(scheduler), queue_(scheduler.make_queue(std::move(name), std::move(life))) {}
    void post(Task task) override { scheduler_.post(queue_, std::move(task)); }
    std::unique_ptr<Timer> after(milliseconds delay, Task task) override;
    // Without a handle: cannot be cancelled.
    void later(nanoseconds delay, Task task) { scheduler_.after(queue_, delay, std::move(task)); }
    bool is_current() const override { return scheduler_.current_queue() == queue_.get(); }

private:
    Scheduler& scheduler_;
    Scheduler::QueuePtr queue_;
};

// What one life of a process runs on.
class SimRuntime final : public Runtime {
public:
    SimRuntime(Scheduler& scheduler, SimClock& clock, Rng random, LifePtr life)
        : scheduler_(scheduler),
          clock_(clock),
          random_(random),
          life_(std::move(life)),
          loop_(scheduler, life_->name + ".loop", life_) {}

    Strand& loop() override { return loop_; }
    SimStrand& sim_loop() { return loop_; }
    std::unique_ptr<WorkerPool> make_pool(const std::string& name, std::size_t threads) override;
    Clock& clock() override { return clock_; }
    Random& random() override { return random_; }
    const LifePtr& life() const { return life_; }

private:
    Scheduler& scheduler_;
    SimClock& clock_;
    Rng random_;
    LifePtr life_;
    SimStrand loop_;
};

}  // namespace millrace::simulation
