#include "core/asio_runtime.hpp"

#include <pthread.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "core/alternate_stack.hpp"

namespace millrace {
namespace {

namespace asio = boost::asio;

// The flag is shared with the handler: a timer that has expired but whose handler is still queued can be cancelled too.
template <class Executor>
class AsioTimer final : public Timer {
public:
    AsioTimer(const Executor& executor, milliseconds delay, Task task)
        : timer_(executor), cancelled_(std::make_shared<std::atomic<bool>>(false)) {
        timer_.expires_after(delay);
        timer_.async_wait([cancelled = cancelled_, task = std::move(task)](boost::system::error_code error) {
            if (!error && !cancelled->load()) task();
        });
    }
    ~AsioTimer() override {
        cancelled_->store(true);
        timer_.cancel();
    }

private:
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer_;
    std::shared_ptr<std::atomic<bool>> cancelled_;
};

template <class Executor>
class AsioStrand final : public Strand {
public:
    explicit AsioStrand(Executor executor) : executor_(std::move(executor)) {}

    void post(Task task) override { asio::post(executor_, std::move(task)); }
    std::unique_ptr<Timer> after(milliseconds delay, Task task) override {
        return std::make_unique<AsioTimer<Executor>>(executor_, delay, std::move(task));
    }
    bool is_current() const override { return executor_.running_in_this_thread(); }

private:
    Executor executor_;
};

class AsioWorkerPool final : public WorkerPool {
public:
    AsioWorkerPool(const std::string& name, std::size_t threads)
        : context_(static_cast<int>(threads)), work_(asio::make_work_guard(context_)) {
        for (std::size_t i = 0; i < threads; ++i) {
            threads_.emplace_back([this] {
                const AlternateStack stack;
                context_.run();
            });
            pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
        }
    }
    ~AsioWorkerPool() override {
        work_.reset();
        for (auto& thread : threads_) thread.join();
    }

    std::shared_ptr<Strand> make_strand() override {
        using StrandExecutor = asio::strand<asio::io_context::executor_type>;
        return std::make_shared<AsioStrand<StrandExecutor>>(asio::make_strand(context_));
    }

private:
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::vector<std::thread> threads_;
};

}  // namespace

AsioRuntime::AsioRuntime()
    : context_(1), loop_(std::make_unique<AsioStrand<asio::io_context::executor_type>>(context_.get_executor())) {}

AsioRuntime::~AsioRuntime() = default;

Strand& AsioRuntime::loop() { return *loop_; }

std::unique_ptr<WorkerPool> AsioRuntime::make_pool(const std::string& name, std::size_t threads) {
    return std::make_unique<AsioWorkerPool>(name, threads);
}

void AsioRuntime::run() {
    auto work = asio::make_work_guard(context_);
    context_.run();
}

void AsioRuntime::stop() { context_.stop(); }

}  // namespace millrace
