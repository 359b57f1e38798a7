// StoreStrand: the log's own thread. Work goes there with the LogStore in hand, results come back
// to the loop.
//
// Thread rule: used on the loop thread; `work` runs on the log's strand, `then` on the loop, in the
// order of the calls, and not at all after the StoreStrand is gone. Ownership: owns the LogStore
// and its thread; the destructor waits for the work that was posted.
#pragma once

#include <memory>
#include <utility>

#include "core/runtime.hpp"
#include "transport/embedded/log_store.hpp"

namespace millrace::embedded {

class StoreStrand {
public:
    StoreStrand(Runtime& runtime, StoreOptions options)
        : runtime_(runtime),
          pool_(runtime.make_pool("log", 1)),
          strand_(pool_->make_strand()),
          store_(std::make_shared<LogStore>(std::move(options))) {}
    ~StoreStrand() {
        // SQLite's files are closed where they were used.
        strand_->post([store = std::move(store_)] { store->close(); });
        strand_.reset();
        pool_.reset();
    }
    StoreStrand(const StoreStrand&) = delete;
    StoreStrand& operator=(const StoreStrand&) = delete;

    // `work` takes a LogStore&, `then` what it returned.
    template <class Work, class Then>
    void run(Work work, Then then) {
        auto task = std::make_shared<std::pair<Work, Then>>(std::move(work), std::move(then));
        strand_->post([&loop = runtime_.loop(), store = store_, task, alive = alive()] {
            using Answer = decltype(task->first(*store));
            auto answer = std::make_shared<Answer>(task->first(*store));
            loop.post([task, answer, alive] {
                if (!alive.expired()) task->second(std::move(*answer));
            });
        });
    }

    // Runs `task` on the loop, never from inside this call.
    template <class Callback>
    void post_to_loop(Callback task) {
        runtime_.loop().post([task = std::move(task), alive = alive()]() mutable {
            if (!alive.expired()) task();
        });
    }
    Runtime& runtime() { return runtime_; }

private:
    std::weak_ptr<int> alive() const { return alive_; }

    Runtime& runtime_;
    std::unique_ptr<WorkerPool> pool_;
    std::shared_ptr<Strand> strand_;
    std::shared_ptr<LogStore> store_;
    std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace millrace::embedded
