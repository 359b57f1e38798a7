// Attempts: what a shard knows of inputs that failed and are tried again, in memory and in its
// state file, so that attempt number, first failure, next time and what is spent of the budget
// survive a restart. Time in which nothing ran (the server was down, a breaker was open) is not
// spent.
//
// Rows are written with the next batch (`save`) and count as written when it is committed
// (`saved`); a batch that is undone writes them again. Thread rule: the shard's strand. Memory: one
// row for each input that waits, in an earlier life too until it comes again.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/clock.hpp"
#include "engine/input.hpp"
#include "engine/state_file.hpp"

namespace millrace::engine {

class Attempts {
public:
    Result<void> load(StateFile& state);
    // An input that comes (again): goes on where it was, which may be a wait. The time until its
    // next attempt, zero for now; nullopt: nothing is known of it.
    std::optional<milliseconds> restore(Input& input, Clock& clock);
    // It failed and waits until `next`, when that much of its budget will be spent.
    void keep(Input& input, Timestamp next, std::chrono::nanoseconds spent);
    // It is resolved.
    void drop(const Input& input);
    // Its partition begins anew.
    void forget(const TopicPartition& origin);
    // Its partition came back, and is read from there on: what lies below is resolved, elsewhere.
    void forget_below(const TopicPartition& origin, Offset first);

    bool changed() const { return !changes_.empty(); }
    Result<void> save(StateFile& state) const;
    void saved() { changes_.clear(); }

private:
    std::map<std::string, AttemptRow> rows_;                    // as they will be in the file
    std::map<std::string, std::optional<AttemptRow>> changes_;  // nullopt: to be removed
};

}  // namespace millrace::engine
