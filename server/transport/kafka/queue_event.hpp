// QueueEvent: wakes the loop when one of its librdkafka queues goes from empty to non-empty,
// through an eventfd.
//
// Thread rule: the loop thread. It fires once per empty-to-non-empty transition, so who is woken
// drains to empty or remembers to come back; a queue that was not empty when it was watched does
// not fire. A WatchedQueue must go before its QueueEvent.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "transport/kafka/handles.hpp"

namespace millrace::kafka {

class QueueEvent {
public:
    // Throws when the system has no file descriptor left.
    QueueEvent(boost::asio::io_context& context, std::function<void()> wake);
    ~QueueEvent();
    QueueEvent(const QueueEvent&) = delete;
    QueueEvent& operator=(const QueueEvent&) = delete;

    int descriptor() const;

private:
    struct State;
    static void wait(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;
};

// A queue whose librdkafka side stops writing to the descriptor before anyone closes it.
class WatchedQueue {
public:
    WatchedQueue() = default;
    WatchedQueue(QueuePtr queue, const QueueEvent& event);
    WatchedQueue(WatchedQueue&&) = default;
    WatchedQueue& operator=(WatchedQueue&& other) noexcept;
    ~WatchedQueue() { release(); }

    rd_kafka_queue_t* get() const { return queue_.get(); }
    explicit operator bool() const { return queue_ != nullptr; }

private:
    void release();
    QueuePtr queue_;
};

}  // namespace millrace::kafka
