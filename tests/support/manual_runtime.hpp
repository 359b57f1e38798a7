// ManualRuntime: a Runtime on one thread with a clock that only moves when told: what runs in a
// test runs in the same order every time.
//
// Tasks of all strands stand in one queue, in the order they were posted. `settle` runs them until
// none is left; `advance` moves the clock and fires the timers on the way. A pool can be parked:
// what is posted to its strands does not return until it is let go. Destroy what posts before the
// runtime.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/runtime.hpp"

namespace millrace::testing {

class ManualClock final : public Clock {
public:
    Timestamp now() const override {
        return Timestamp(std::chrono::microseconds(1'767'225'600'000'000)) +
               std::chrono::duration_cast<Timestamp::duration>(elapsed);
    }
    std::chrono::nanoseconds monotonic() const override {
        return std::chrono::seconds(1) + elapsed;
    }
    std::chrono::nanoseconds elapsed{0};
};

class SeededRandom final : public Random {
public:
    std::uint64_t next() override {
        // SplitMix64, https://prng.di.unimi.it/splitmix64.c
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31U);
    }

private:
    std::uint64_t state_ = 1;
};

class ManualRuntime final : public Runtime {
    struct Queue {
        std::deque<Task> tasks;
        std::multimap<std::chrono::nanoseconds, std::pair<std::uint64_t, Task>> timers;
        std::uint64_t next_timer = 0;
        std::string parked;  // pools whose names end so; empty: none
        std::deque<Task> parked_tasks;
    };

public:
    ManualRuntime() : queue_(std::make_shared<Queue>()), loop_(*this) {}

    Strand& loop() override { return loop_; }
    std::unique_ptr<WorkerPool> make_pool(const std::string& name, std::size_t) override {
        return std::make_unique<Pool>(*this, name);
    }
    void park(const std::string& pool) { queue_->parked = pool; }
    void unpark() {
        queue_->parked.clear();
        for (auto& task : queue_->parked_tasks) queue_->tasks.push_back(std::move(task));
        queue_->parked_tasks.clear();
    }
    Clock& clock() override { return clock_; }
    Random& random() override { return random_; }
    ManualClock& manual_clock() { return clock_; }

    // One task; false: there is none.
    bool step() {
        if (queue_->tasks.empty()) return false;
        Task task = std::move(queue_->tasks.front());
        queue_->tasks.pop_front();
        task();
        return true;
    }
    void settle() {
        while (!queue_->tasks.empty()) {
            Task task = std::move(queue_->tasks.front());
            queue_->tasks.pop_front();
            task();
        }
    }

    void advance(milliseconds time) {
        settle();
        const auto end = clock_.elapsed + time;
        while (!queue_->timers.empty() && queue_->timers.begin()->first <= end) {
            auto first = queue_->timers.extract(queue_->timers.begin());
            clock_.elapsed = std::max(clock_.elapsed, first.key());
            first.mapped().second();
            settle();
        }
        clock_.elapsed = std::max(clock_.elapsed, end);
    }

    // Until the predicate holds, at most for this long of the clock's time.
    bool advance_until(const std::function<bool()>& predicate,
                       milliseconds longest = milliseconds(120'000)) {
        settle();
        for (milliseconds waited{0}; waited <= longest; waited += milliseconds(10)) {
            if (predicate()) return true;
            advance(milliseconds(10));
        }
        return predicate();
    }

    // What a crash leaves: nothing that was posted happens.
    void abandon() {
        // Destroying one may post another.
        while (!queue_->tasks.empty() || !queue_->parked_tasks.empty() ||
               !queue_->timers.empty()) {
            const auto tasks = std::exchange(queue_->tasks, {});
            const auto parked = std::exchange(queue_->parked_tasks, {});
            const auto timers = std::exchange(queue_->timers, {});
        }
    }

private:
    class ManualTimer final : public Timer {
    public:
        ManualTimer(std::weak_ptr<Queue> queue, std::uint64_t number)
            : queue_(std::move(queue)), number_(number) {}
        ~ManualTimer() override {
            const auto queue = queue_.lock();
            if (!queue) return;
            std::erase_if(queue->timers,
                          [&](const auto& entry) { return entry.second.first == number_; });
        }

    private:
        std::weak_ptr<Queue> queue_;
        std::uint64_t number_;
    };

    class ManualStrand final : public Strand {
    public:
        explicit ManualStrand(ManualRuntime& runtime, std::string pool = {})
            : runtime_(runtime), pool_(std::move(pool)) {}
        void post(Task task) override {
            Queue& queue = *runtime_.queue_;
            const bool parked = !queue.parked.empty() && pool_.ends_with(queue.parked);
            (parked ? queue.parked_tasks : queue.tasks).push_back(std::move(task));
        }
        std::unique_ptr<Timer> after(milliseconds delay, Task task) override {
            Queue& queue = *runtime_.queue_;
            const std::uint64_t number = ++queue.next_timer;
            queue.timers.emplace(runtime_.clock_.elapsed + delay,
                                 std::pair{number, std::move(task)});
            return std::make_unique<ManualTimer>(runtime_.queue_, number);
        }
        bool is_current() const override { return true; }

    private:
        ManualRuntime& runtime_;
        std::string pool_;
    };

    class Pool final : public WorkerPool {
    public:
        Pool(ManualRuntime& runtime, std::string name)
            : runtime_(runtime), name_(std::move(name)) {}
        std::shared_ptr<Strand> make_strand() override {
            return std::make_shared<ManualStrand>(runtime_, name_);
        }

    private:
        ManualRuntime& runtime_;
        std::string name_;
    };

    std::shared_ptr<Queue> queue_;
    ManualClock clock_;
    SeededRandom random_;
    ManualStrand loop_;
};

}  // namespace millrace::testing
