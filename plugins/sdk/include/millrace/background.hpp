// Background: work that takes long, on threads of the handler's own, for one instance. The event is
// pending meanwhile, and what the work returns comes to on_complete.
//
//     Outcome on_message(const Event& event) override {
//         return background_.run(event, [url = std::string(*event.field("url"))] {
//             return fetch(url);
//         });
//     }
//     Outcome on_complete(const Event& event, std::string_view payload) override {
//         const std::string text = result_of(payload);  // throws what the work threw, as
//         WorkFailed
//         ...
//         return ack();
//     }
//     void stop() { background_.stop(); }
//     Background background_{context()};
//
// Thread rule: `run` and `stop` inside callbacks; the work runs elsewhere, so it must own what it
// uses: no view of the event, no `this`, no context(). Ownership: work that has not begun when the
// instance ends is dropped, and what runs is waited for; the server gives such an event again.
// Errors: when too much waits, `run` asks for a retry. An HTTP request needs none of this: `call`.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <millrace/context.hpp>
#include <millrace/plugin.hpp>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace millrace {
inline namespace sdk {

class WorkFailed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// What the work returned. Throws WorkFailed with what it threw; let it pass, and the event is
// dead-lettered with that.
inline std::string result_of(std::string_view payload) {
    if (payload.starts_with('+')) return std::string(payload.substr(1));
    throw WorkFailed(std::string(payload.substr(payload.empty() ? 0 : 1)));
}

class Background {
public:
    static constexpr std::size_t kMostWaiting = 1'000;

    explicit Background(const Context& context, std::size_t threads = 1,
                        std::size_t most_waiting = kMostWaiting)
        : completer_(context.completer()), most_waiting_(most_waiting) {
        for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    }
    ~Background() { stop(); }
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    // Return what it gives: pending(), or a retry. `work` returns a text.
    Outcome run(const Event& event, std::function<std::string()> work) {
        const std::lock_guard lock(mutex_);
        if (stopped_ || waiting_.size() >= most_waiting_)
            return retry("too much waits for the handler's own threads");
        waiting_.emplace_back(event.token(), std::move(work));
        changed_.notify_one();
        return pending();
    }

    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
            waiting_.clear();
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
    }

private:
    using Task = std::pair<Token, std::function<std::string()>>;

    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
            if (stopped_) return;
            const Task task = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            completer_.complete(task.first, outcome_of(task.second));
            lock.lock();
        }
    }
    static std::string outcome_of(const std::function<std::string()>& work) {
        try {
            return "+" + work();
        } catch (const std::exception& error) {
            return std::string("-") + error.what();
        } catch (...) {
            return "-an exception that is not a std::exception";
        }
    }

    const Completer completer_;
    const std::size_t most_waiting_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Task> waiting_;
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace sdk
}  // namespace millrace
