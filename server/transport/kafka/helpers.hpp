// Helpers: threads for the calls of librdkafka that block, with the answer brought back to the
// loop.
//
// Thread rule: `run` from the loop. Work on one lane never overlaps and keeps its order. Both
// functions own what they touch (shared_ptr): an owner may be gone when the answer comes.
#pragma once

#include <memory>
#include <utility>

#include "core/runtime.hpp"

namespace millrace::kafka {

class Helpers {
public:
    explicit Helpers(Runtime& runtime)
        : loop_(runtime.loop()), pool_(runtime.make_pool("kafka-helper", kThreads)) {}

    std::shared_ptr<Strand> make_lane() { return pool_->make_strand(); }

    template <class Work, class Then>
    void run(const std::shared_ptr<Strand>& lane, Work work, Then then) {
        lane->post([&loop = loop_, work = std::move(work), then = std::move(then)]() mutable {
            auto answer = std::make_shared<decltype(work())>(work());
            loop.post([then = std::move(then), answer]() mutable { then(std::move(*answer)); });
        });
    }

private:
    static constexpr std::size_t kThreads = 4;
    Strand& loop_;
    std::unique_ptr<WorkerPool> pool_;
};

}  // namespace millrace::kafka
