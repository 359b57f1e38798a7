#include "transport/kafka/committer.hpp"

#include <utility>

#include "core/log.hpp"
#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kInterval{50};
constexpr milliseconds kRetryInterval{250};
constexpr milliseconds kFlushTimeout{3'000};

}  // namespace

Committer::Committer(Strand& loop, std::function<bool(const Positions&)> send)
    : loop_(loop), send_(std::move(send)) {}

void Committer::set(const TopicPartition& origin, Offset position) {
    pending_[origin] = position;
    send_soon();
}

// What is set in one turn of the loop shares the request.
void Committer::send_soon() {
    if (!rest_timer_) send_later(milliseconds(0));
}

void Committer::send_later(milliseconds delay) {
    if (send_timer_ || !in_flight_.empty()) return;
    send_timer_ = loop_.after(delay, [this] {
        send_timer_.reset();
        send();
    });
}

void Committer::send() {
    if (pending_.empty()) return finish_flush();
    in_flight_ = std::exchange(pending_, {});
    if (send_(in_flight_)) {
        rest_timer_ = loop_.after(kInterval, [this] {
            rest_timer_.reset();
            if (!pending_.empty()) send_soon();
        });
        return;
    }
    pending_ = std::exchange(in_flight_, {});
    send_later(kRetryInterval);
}

void Committer::answered(const Positions& acknowledged, const Positions& refused,
                         rd_kafka_resp_err_t code) {
    in_flight_.clear();
    const auto forgotten = std::exchange(forgotten_, {});
    for (const auto& [origin, position] : acknowledged) {
        if (!forgotten.contains(origin)) acknowledged_[origin] = position;
    }
    const bool drop = error_code_of(code) == ErrorCode::kConflict;
    if (!refused.empty())
        log::warn("kafka", "a commit of {} partitions was refused: {}; {}", refused.size(),
                  rd_kafka_err2str(code), drop ? "another member owns them" : "trying again");
    for (const auto& [origin, position] : refused) {
        if (!drop && !forgotten.contains(origin)) pending_.emplace(origin, position);
    }
    if (pending_.empty()) return finish_flush();
    if (on_flushed_ && refused.empty()) return send();
    if (refused.empty()) return send_soon();
    send_later(kRetryInterval);
}

void Committer::flush(std::function<void()> done) {
    on_flushed_ = std::move(done);
    if (!in_flight_.empty() || !pending_.empty())
        flush_timer_ = loop_.after(kFlushTimeout, [this] {
            log::warn("kafka", "the last positions could not be committed; they are read again");
            pending_.clear();
            finish_flush();
        });
    if (!in_flight_.empty()) return;
    send_timer_.reset();
    send();
}

void Committer::finish_flush() {
    if (!on_flushed_) return;
    in_flight_.clear();
    flush_timer_.reset();
    loop_.post(std::exchange(on_flushed_, nullptr));
}

void Committer::forget(const std::vector<TopicPartition>& origins) {
    for (const auto& origin : origins) {
        pending_.erase(origin);
        acknowledged_.erase(origin);
        if (in_flight_.contains(origin)) forgotten_.insert(origin);
    }
}

std::optional<Offset> Committer::committed(const TopicPartition& origin) const {
    const auto found = acknowledged_.find(origin);
    if (found == acknowledged_.end()) return std::nullopt;
    return found->second;
}

}  // namespace millrace::kafka
