// Runtime: where code runs. A loop thread, and pools of threads whose work is ordered by strands.
//
// Everything above the transport is written against these interfaces and nothing else of the operating system's threads,
// so that a simulation can run the whole engine on one thread with a seed. `AsioRuntime` (core/asio_runtime.hpp) is the
// real one.
//
// Thread rule: `post` may be called from any thread. `after` and the destruction of the timer it returns belong to the
// strand itself. Tasks of one strand never overlap and run in the order they were posted. Tasks must not throw.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/clock.hpp"
#include "core/types.hpp"

namespace millrace {

using Task = std::function<void()>;

// Destroying it cancels: the task will not start afterwards.
class Timer {
public:
    virtual ~Timer() = default;
};

class Strand {
public:
    virtual ~Strand() = default;
    virtual void post(Task task) = 0;
    [[nodiscard]] virtual std::unique_ptr<Timer> after(milliseconds delay, Task task) = 0;
    // True when called from a task of this strand: for assertions.
    virtual bool is_current() const = 0;
};

// Threads of their own. The destructor waits for the tasks that were posted; strands must not outlive their pool.
class WorkerPool {
public:
    virtual ~WorkerPool() = default;
    virtual std::shared_ptr<Strand> make_strand() = 0;
};

class Runtime {
public:
    virtual ~Runtime() = default;
    // The one thread of transport callbacks, timers, HTTP and WebSocket. Never block it.
    virtual Strand& loop() = 0;
    // `name` (up to 15 characters) is what a debugger or `top -H` shows.
    virtual std::unique_ptr<WorkerPool> make_pool(const std::string& name, std::size_t threads) = 0;
    virtual Clock& clock() = 0;
    virtual Random& random() = 0;
};

}  // namespace millrace
