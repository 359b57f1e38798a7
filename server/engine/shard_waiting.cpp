// What a shard's inputs wait for: their next attempt, their completion, the confirmation of their
// dead letter.
#include <fmt/format.h>

#include "core/kill_point.hpp"
#include "engine/backoff.hpp"
#include "engine/dead_letter_writer.hpp"
#include "engine/shard.hpp"

namespace millrace::engine {
namespace {

// Not what nobody could read, nor a loop.
bool is_handlers_fault(const Failure& failure) {
    return failure.error_class == "handler" || failure.error_class == "timeout";
}

}  // namespace

void Shard::fail_input(Input& input, Failure failure, bool transient,
                       std::optional<milliseconds> retry_after) {
    input.last_failure = setup_.runtime.clock().now();
    if (!input.failure) input.first_failure = input.last_failure;
    input.failure = std::move(failure);
    note_error(input);
    if (broadcast_) {
        log::warn("engine", "{}: {} is skipped: {}", setup_.identity.handler, name_of(input),
                  input.failure->message);
        resolve(input, Verdict::kSkipped);
        return;
    }
    input.state = InputState::kWaiting;
    if (input.from_log() && is_handlers_fault(*input.failure) &&
        !std::exchange(input.failure_counted, true))
        ++handled_[input.origin()].failed;
    end_probe(input, ProbeResult::kFailed);
    hold(input);
    // Its letter may take long: what is known of it survives a restart meanwhile.
    const auto give_up = [&] {
        attempts_.keep(input, input.last_failure, spent_by(input));
        dead_letter(input);
    };
    if (!transient) return give_up();
    const auto delay = delay_of(input, retry_after.value_or(milliseconds(0)));
    if (!delay) {
        if (input.failure->error_class == "handler")
            input.failure->error_class = "retries-exhausted";
        return give_up();
    }
    setup_.metrics.retries->add();
    on_loop([](ShardOwner& owner) { owner.on_retry(); });
    log::debug("engine", "{}: {} failed (attempt {}), again in {} ms: {}", setup_.identity.handler,
               name_of(input), input.attempt, delay->count(), input.failure->message);
    const auto spent = spent_by(input) + (gate_of(input) == nullptr ? *delay : milliseconds(0));
    attempts_.keep(input, setup_.runtime.clock().now() + *delay, spent);
    wait_and_retry(input, *delay);
}

// Until its next attempt, the last one at the end of its budget; nullopt: there is none.
std::optional<milliseconds> Shard::delay_of(const Input& input, milliseconds least) {
    const RetrySection& retry = setup_.section.retry;
    const auto delay = std::max(backoff(retry, input.attempt, setup_.runtime.random()), least);
    if (gate_of(input) != nullptr) return delay;
    const auto left = std::chrono::ceil<milliseconds>(retry.budget - spent_by(input));
    if (left <= least) return std::nullopt;
    return std::min(delay, left);
}

// Of its budget, which stands still while the breaker of its partition is open.
std::chrono::nanoseconds Shard::spent_by(const Input& input) const {
    const Gate* gate = gate_of(input);
    const auto until = gate == nullptr ? setup_.runtime.clock().monotonic() : gate->since;
    return std::max(until - input.budget_since, std::chrono::nanoseconds(0));
}

void Shard::wait_and_retry(Input& input, milliseconds delay) {
    input.wait = setup_.strand->after(delay, [this, id = input.id] {
        Input* waiting = find_held(id);
        if (waiting == nullptr) return;
        // A completion whose on_complete failed is tried again with the payload it came with.
        waiting->state = waiting->completion ? InputState::kCompleted : InputState::kReady;
        if (waiting->state == InputState::kCompleted) ++waiting->attempt;
        let_go(*waiting);
        schedule();
    });
}

void Shard::wait_for_completion(Input& input) {
    input.state = InputState::kPending;
    ++pending_;
    ++setup_.in_flight;
    hold(input);
    const auto patience = pending_for(input);
    input.wait = setup_.strand->after(patience, [this, id = input.id, patience] {
        Input* pending = find_held(id);
        if (pending == nullptr || pending->state != InputState::kPending) return;
        leave_pending();
        fail_input(*pending,
                   {"timeout", fmt::format("not completed within {} ms (`pending_timeout`, at most "
                                           "what is left of the retry budget, and a `timeout`)",
                                           patience.count())},
                   true, std::nullopt);
        schedule();
    });
}

// After the first attempt no longer than the budget and one call allow.
milliseconds Shard::pending_for(const Input& input) const {
    const auto& section = setup_.section;
    if (input.attempt <= 1 || gate_of(input) != nullptr) return section.pending_timeout;
    const auto left = std::chrono::ceil<milliseconds>(section.retry.budget - spent_by(input));
    return std::min(section.pending_timeout, std::max(left, milliseconds(0)) + section.timeout);
}

void Shard::completed(CompletionToken token, std::string payload) {
    Input* pending = closed_ ? nullptr : find_held(token.input);
    if (pending == nullptr || pending->state != InputState::kPending ||
        pending->attempt != token.attempt) {
        setup_.metrics.late_completions->add();
        return;
    }
    leave_pending();
    pending->completion = std::move(payload);
    pending->state = InputState::kCompleted;
    let_go(*pending);
    schedule();
}

void Shard::dead_letter(Input& input) {
    input.state = InputState::kFailed;
    log::warn("engine", "{}: {} becomes a dead letter ({}, {} attempts): {}",
              setup_.identity.handler, name_of(input), input.failure->error_class, input.attempt,
              input.failure->message);
    send_dead_letter(input);
}

void Shard::send_dead_letter(Input& input) {
    const std::string topic = input.event != nullptr ? input.origin().topic
                              : input.timer          ? input.timer->from.origin.topic
                                                     : input.response->call.from.origin.topic;
    const auto letters = setup_.dead_letters.find(topic);
    DeadLetterContext context{
        letters == setup_.dead_letters.end() ? topic + "-dlq" : letters->second,
        setup_.identity.handler, setup_.group, setup_.section.dead_letters};
    auto answer = [weak = weak_from_this(), strand = setup_.strand,
                   id = input.id](const Result<WrittenLetter>& result) {
        strand->post([weak, id, result] {
            if (const auto self = weak.lock()) self->dead_letter_sent(id, result);
        });
    };
    std::optional<std::pair<TopicPartition, Epoch>> assignment;
    if (input.from_log()) assignment.emplace(input.origin(), input.batch->batch->epoch);
    on_loop([&transport = setup_.transport, assignment = std::move(assignment),
             letter = make_dead_letter(input, context),
             answer = std::move(answer)](const ShardOwner& owner) mutable {
        // Let go of meanwhile: it is read again, and has its outcome there.
        if (assignment && !owner.holds(assignment->first, assignment->second)) return;
        write_dead_letter(transport, std::move(letter), std::move(answer));
    });
}

void Shard::dead_letter_sent(std::uint64_t id, const Result<WrittenLetter>& result) {
    Input* input = closed_ ? nullptr : find_held(id);
    if (input == nullptr) return;
    const std::string name = name_of(*input);
    const auto report = [&](const std::string& reason) {
        on_loop([index = setup_.index, name, reason](ShardOwner& owner) {
            owner.on_held(index, name, reason);
        });
    };
    if (!result) {
        setup_.metrics.dead_letter_write_failures->add();
        const std::string reason = fmt::format("{} is held, its dead letter cannot be written: {}",
                                               name, result.error().message);
        if (input->dead_letter_tries == 0)
            log::error("engine", "{}: {}", setup_.identity.handler, reason);
        report(reason);
        input->wait = setup_.strand->after(
            backoff(kOutsideRetry, ++input->dead_letter_tries, setup_.runtime.random()),
            [this, id] {
                if (Input* again = find_held(id)) send_dead_letter(*again);
            });
        return;
    }
    kill_point("after_dead_letter_write");
    if (input->dead_letter_tries > 0) {
        log::info("engine", "{}: {} goes on, its dead letter is written", setup_.identity.handler,
                  name);
        report("");
    }
    if (is_pointer(result->form)) input->failure->error_class = "too-large";
    if (input->event != nullptr)
        setup_.metrics.dead_letters(input->origin().topic, input->failure->error_class).add();
    input->state = InputState::kDeadLettered;
    let_go(*input);
    schedule();
}

void Shard::responded(OutboxCall call, HttpAnswer answer) {
    if (closed_) return;
    auto input = std::make_unique<Input>();
    input->response = CallResponse{std::move(call), std::move(answer)};
    const std::string lane = lane_key(*input);
    add(lane, std::move(input));
    schedule();
}

void Shard::note_error(const Input& input) {
    ErrorNote note{input.last_failure, input.failure->error_class, input.failure->message, {}, {}};
    if (input.event != nullptr) {
        note.origin = input.origin();
        note.offset = input.event->record->offset;
    }
    on_loop([note = std::move(note)](ShardOwner& owner) { owner.on_error(note); });
}

std::string Shard::name_of(const Input& input) const {
    if (input.event != nullptr)
        return fmt::format("{}{} offset {}", input.inbox != 0 ? "redriven " : "",
                           to_string(input.origin()), input.event->record->offset.value);
    if (input.timer) return fmt::format("timer {}", input.timer->id);
    return fmt::format("the response to call {}", input.response->call.id);
}

void Shard::hold(Input& input) {
    held_[input.id] = &input;
    if (input.from_log()) held_at_[input.origin()][input.event->record->offset] = &input;
    gauges_.waiting = static_cast<std::int64_t>(held_.size());
    touch_behind(input);
}

// What it holds back is reported anew, with the reason.
void Shard::touch_behind(const Input& input) {
    for (const Input* held = &input; held != nullptr; held = held->behind.get()) {
        if (held->from_log()) touched_.insert(held->origin());
    }
}

// It can run again.
void Shard::let_go(Input& input) {
    held_.erase(input.id);
    if (input.from_log()) held_at_[input.origin()].erase(input.event->record->offset);
    gauges_.waiting = static_cast<std::int64_t>(held_.size());
    const auto expired = std::move(input.wait);
    lanes_.wake(input);
}

void Shard::leave_pending() {
    --pending_;
    if (setup_.in_flight.fetch_sub(1) >= setup_.section.max_in_flight)
        on_loop([](ShardOwner& owner) { owner.on_room(); });
}

HeldInput Shard::describe(const Input& input) const {
    HeldInput held{name_of(input), *input.lane->key, {}, input.attempt, {}, input.first_failure};
    switch (input.state) {
        case InputState::kPending:
            held.reason = "pending";
            break;
        case InputState::kFailed:
        case InputState::kDeadLettered:
            held.reason = "dead-letter";
            break;
        case InputState::kBlocked:
            held.reason = "breaker";
            break;
        case InputState::kReady:
        case InputState::kWaiting:
        case InputState::kCompleted:
            held.reason = "retry";
            break;
    }
    if (input.failure)
        held.error = input.failure->message;
    else
        held.since = setup_.runtime.clock().now();
    return held;
}

// What the lowest unresolved record of a partition waits for: itself, or the first of its lane.
std::shared_ptr<const HeldInput> Shard::holder_of(const TopicPartition& origin, Offset lowest) {
    if (held_.empty()) return nullptr;
    const auto& held = held_at_[origin];
    if (const auto found = held.find(lowest); found != held.end())
        return std::make_shared<const HeldInput>(describe(*found->second));
    if (lanes_.any_ready()) return nullptr;
    std::shared_ptr<const HeldInput> holder;
    (void)lanes_.any_of([&](const Input& input) {
        if (!input.from_log() || input.event->record->offset != lowest || input.origin() != origin)
            return false;
        const Input& head = *input.lane->head;
        if (held_.contains(head.id)) holder = std::make_shared<const HeldInput>(describe(head));
        return true;
    });
    return holder;
}

Input* Shard::find_held(std::uint64_t id) {
    const auto found = held_.find(id);
    return found == held_.end() ? nullptr : found->second;
}

}  // namespace millrace::engine
