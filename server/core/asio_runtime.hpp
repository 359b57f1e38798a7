// AsioRuntime: the real Runtime, on one io_context for the loop and one thread pool per WorkerPool.
//
// Ownership: outlives every strand, pool and timer made from it. `run` blocks the calling thread, which becomes the loop
// thread, until `stop`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "core/runtime.hpp"

namespace millrace {

class AsioRuntime final : public Runtime {
public:
    AsioRuntime();
    ~AsioRuntime() override;

    Strand& loop() override;
    std::unique_ptr<WorkerPool> make_pool(const std::string& name, std::size_t threads) override;
    Clock& clock() override { return clock_; }
    Random& random() override { return random_; }

    // For code that speaks Asio itself: the gateway's sockets, the Kafka queue's eventfd, signals.
    boost::asio::io_context& context() { return context_; }

    void run();
    // Any thread. The tasks already posted are abandoned.
    void stop();

private:
    boost::asio::io_context context_;
    std::unique_ptr<Strand> loop_;
    SystemClock clock_;
    SystemRandom random_;
};

}  // namespace millrace
