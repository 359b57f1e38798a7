// The gate of an open breaker: a shard's part in holding a partition and in trying it again.
#include <algorithm>

#include "engine/shard.hpp"

namespace millrace::engine {

const Shard::Gate* Shard::gate_of(const Input& input) const {
    if (gates_.empty() || !input.from_log()) return nullptr;
    const auto found = gates_.find(input.origin());
    return found == gates_.end() ? nullptr : &found->second;
}

bool Shard::is_blocked(const Input& input) const {
    return !input.probe && gate_of(input) != nullptr;
}

void Shard::block(TopicPartition origin) {
    setup_.strand->post([self = shared_from_this(), origin = std::move(origin)] {
        self->gates_[origin].since = self->setup_.runtime.clock().monotonic();
    });
}

// In turn: one that always fails must not keep the others from showing that the handler is well.
Input* Shard::next_probe(const TopicPartition& origin, Offset after) {
    Input* lowest = nullptr;
    for (const auto& [offset, input] : held_at_[origin]) {
        if (input->state != InputState::kBlocked) continue;
        if (offset > after) return input;
        if (lowest == nullptr) lowest = input;
    }
    return lowest;
}

void Shard::probe(TopicPartition origin) {
    setup_.strand->post([self = shared_from_this(), origin = std::move(origin)] {
        const auto answer = [&](ProbeResult result) {
            self->on_loop([origin, result](ShardOwner& owner) { owner.on_probed(origin, result); });
        };
        const auto gate = self->gates_.find(origin);
        if (gate == self->gates_.end() || gate->second.probing)
            return answer(ProbeResult::kNothing);
        Input* input = self->next_probe(origin, gate->second.probed);
        if (input == nullptr) return answer(ProbeResult::kNothing);
        gate->second.probing = true;
        gate->second.probed = input->event->record->offset;
        input->probe = true;
        input->state = InputState::kReady;
        self->let_go(*input);
        self->schedule();
    });
}

void Shard::end_probe(Input& input, ProbeResult result) {
    if (!std::exchange(input.probe, false)) return;
    const TopicPartition origin = input.origin();
    if (const auto gate = gates_.find(origin); gate != gates_.end()) gate->second.probing = false;
    on_loop([origin, result](ShardOwner& owner) { owner.on_probed(origin, result); });
}

void Shard::unblock(TopicPartition origin) {
    setup_.strand->post([self = shared_from_this(), origin = std::move(origin)] {
        const auto gate = self->gates_.find(origin);
        if (gate == self->gates_.end()) return;
        const auto now = self->setup_.runtime.clock().monotonic();
        const auto since = gate->second.since;
        self->lanes_.for_each([&](Input& input) {
            if (input.from_log() && input.origin() == origin)
                input.budget_since += now - std::clamp(input.budget_since, since, now);
        });
        self->gates_.erase(gate);
        std::vector<Input*> blocked;
        for (const auto& [offset, input] : self->held_at_[origin]) {
            if (input->state == InputState::kBlocked) blocked.push_back(input);
        }
        for (Input* input : blocked) {
            input->state = InputState::kReady;
            self->let_go(*input);
        }
        self->schedule();
    });
}

}  // namespace millrace::engine
