#include "transport/kafka/queue_event.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace millrace::kafka {
namespace {

int make_eventfd() {
    const int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (descriptor < 0)
        throw std::system_error(errno, std::generic_category(),
                                "kafka: no eventfd; raise the limit of open files");
    return descriptor;
}

constexpr std::uint64_t kOne = 1;

}  // namespace

struct QueueEvent::State {
    State(boost::asio::io_context& context, std::function<void()> task)
        : descriptor(context, make_eventfd()), wake(std::move(task)) {}
    boost::asio::posix::stream_descriptor descriptor;
    std::function<void()> wake;
};

QueueEvent::QueueEvent(boost::asio::io_context& context, std::function<void()> wake)
    : state_(std::make_shared<State>(context, std::move(wake))) {
    wait(state_);
}

QueueEvent::~QueueEvent() {
    state_->wake = nullptr;
    state_->descriptor.close();
}

int QueueEvent::descriptor() const { return state_->descriptor.native_handle(); }

void QueueEvent::wait(const std::shared_ptr<State>& state) {
    state->descriptor.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [state](const boost::system::error_code& error) {
            if (error || !state->wake) return;
            std::uint64_t count = 0;
            static_cast<void>(::read(state->descriptor.native_handle(), &count, sizeof count) < 0);
            wait(state);
            const auto wake = state->wake;
            wake();
        });
}

WatchedQueue::WatchedQueue(QueuePtr queue, const QueueEvent& event) : queue_(std::move(queue)) {
    rd_kafka_queue_io_event_enable(queue_.get(), event.descriptor(), &kOne, sizeof kOne);
}

WatchedQueue& WatchedQueue::operator=(WatchedQueue&& other) noexcept {
    if (this != &other) {
        release();
        queue_ = std::move(other.queue_);
    }
    return *this;
}

void WatchedQueue::release() {
    if (!queue_) return;
    rd_kafka_queue_io_event_enable(queue_.get(), -1, nullptr, 0);
    queue_.reset();
}

}  // namespace millrace::kafka
