#include "gateway/session_queue.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace millrace::gateway {
namespace {

constexpr std::size_t kMaxWriteBytes = 64U << 10;

}  // namespace

bool SessionQueue::push(SharedText text) {
    if (is_closing()) return false;
    const std::size_t size = text->size();
    if (bytes_ + size > max_bytes_) {
        close(CloseCode::kSlow, "events come faster than this client reads them; resume by cursor");
        return false;
    }
    bytes_ += size;
    entries_.push_back({std::move(text), size});
    wake_.cancel();
    return true;
}

void SessionQueue::push_gap(SharedText text) {
    if (is_closing()) return;
    entries_.push_back({std::move(text), 0});
    wake_.cancel();
}

void SessionQueue::close(CloseCode code, std::string reason) {
    if (is_closing()) return;
    closing_ = Closing{code, std::move(reason)};
    entries_.clear();
    bytes_ = 0;
    wake_.cancel();
}

void SessionQueue::abandon() {
    abandoned_ = true;
    entries_.clear();
    wake_.cancel();
}

boost::asio::awaitable<std::vector<SharedText>> SessionQueue::next(milliseconds patience,
                                                                   std::size_t max_texts) {
    if (entries_.empty() && !is_closing()) {
        wake_.expires_after(patience);
        boost::system::error_code error;
        co_await wake_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, error));
    }
    co_return take(max_texts);
}

std::vector<SharedText> SessionQueue::take(std::size_t max_texts) {
    std::vector<SharedText> texts;
    std::size_t size = 0;
    while (!entries_.empty() && texts.size() < max_texts) {
        size += entries_.front().text->size();
        if (!texts.empty() && size > kMaxWriteBytes) break;
        bytes_ -= entries_.front().counted;
        texts.push_back(std::move(entries_.front().text));
        entries_.pop_front();
    }
    return texts;
}

}  // namespace millrace::gateway
