#include "engine/backoff.hpp"
#include "engine/outbox.hpp"

namespace millrace::engine {
namespace {

// What may be different next time.
bool may_pass(int status) {
    return status == 0 || status == 408 || status == 425 || status == 429 ||
           (status >= 500 && status <= 599);
}

}  // namespace

CallSender::CallSender(OutboxSurroundings surroundings, StateFile& state, std::size_t at_once)
    : surroundings_(std::move(surroundings)), state_(&state), at_once_(at_once) {}

void CallSender::send_up_to(std::int64_t sequence) {
    durable_ = sequence;
    send();
}

std::map<std::int64_t, std::uint32_t> CallSender::take_tries() { return std::exchange(tries_, {}); }

void CallSender::stop() {
    state_ = nullptr;
    stopped_ = true;
    waiting_.clear();
}

void CallSender::send() {
    if (state_ == nullptr || on_the_way_.size() >= at_once_ || last_loaded_ >= durable_) return;
    const std::size_t room = at_once_ - on_the_way_.size();
    auto rows = state_->calls_after(last_loaded_, durable_, room);
    if (!rows) return surroundings_.failed(rows.error());
    last_loaded_ = rows->size() < room ? durable_ : rows->back().sequence;
    for (auto& call : *rows) {
        on_the_way_.insert(call.sequence);
        start(std::move(call));
    }
}

void CallSender::start(OutboxCall call) {
    ++call.tries;
    tries_[call.sequence] = call.tries;
    surroundings_.confirmed();
    HttpCall request{call.method, call.url, call.headers, call.body,
                     surroundings_.section.call_timeout};
    request.headers.emplace_back("Idempotency-Key", call.idempotency_key);
    auto answer = [this, shard = surroundings_.shard, strand = surroundings_.strand,
                   call = std::move(call)](HttpAnswer got) {
        strand->post([this, shard, call, got = std::move(got)] {
            const auto alive = shard.lock();
            if (alive && !stopped_) answered(call, got);
        });
    };
    surroundings_.runtime.loop().post([&http = surroundings_.http, request = std::move(request),
                                       answer = std::move(answer)]() mutable {
        http.call(std::move(request), std::move(answer));
    });
}

void CallSender::answered(OutboxCall call, HttpAnswer answer) {
    Runtime& runtime = surroundings_.runtime;
    const auto delay = std::max(backoff(kOutsideRetry, call.tries, runtime.random()),
                                answer.retry_after.value_or(milliseconds(0)));
    const bool in_time =
        runtime.clock().now() + delay < call.created + surroundings_.section.call_retry_for;
    if (may_pass(answer.status) && in_time) {
        log::debug("engine", "{}: {} {} answered {}, again in {} ms", surroundings_.section.name,
                   call.method, call.url, answer.status, delay.count());
        return retry_later(std::move(call), delay);
    }
    on_the_way_.erase(call.sequence);
    surroundings_.responded(std::move(call), std::move(answer));
    send();
}

void CallSender::retry_later(OutboxCall call, milliseconds delay) {
    const std::int64_t sequence = call.sequence;
    waiting_[sequence] = surroundings_.strand->after(delay, [this, call = std::move(call)] {
        const auto keep = waiting_.extract(call.sequence);
        start(call);
    });
}

}  // namespace millrace::engine
