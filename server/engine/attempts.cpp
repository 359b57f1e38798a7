#include "engine/attempts.hpp"

#include <algorithm>

namespace millrace::engine {

Result<void> Attempts::load(StateFile& state) {
    auto rows = state.load_attempts();
    if (!rows) return rows.error();
    rows_ = std::move(*rows);
    return {};
}

std::optional<milliseconds> Attempts::restore(Input& input, Clock& clock) {
    if (rows_.empty()) return std::nullopt;
    const auto found = rows_.find(input_name(input));
    if (found == rows_.end()) return std::nullopt;
    const AttemptRow& row = found->second;
    const Timestamp now = clock.now();
    input.attempt = row.attempt;
    input.attempt_kept = true;
    input.first_failure = row.first_failure;
    input.last_failure = row.last_failure;
    input.failure = Failure{row.error_class, row.message};
    // The wall clock may have been set back: then the budget begins now.
    input.first_attempt =
        clock.monotonic() -
        std::max<std::chrono::nanoseconds>(now - row.first_attempt, std::chrono::nanoseconds(0));
    const auto planned = row.next - row.last_failure;
    return std::chrono::ceil<milliseconds>(
        std::clamp<Timestamp::duration>(row.next - now, Timestamp::duration(0), planned));
}

void Attempts::keep(Input& input, Timestamp next, Clock& clock) {
    const auto since =
        std::chrono::duration_cast<Timestamp::duration>(clock.monotonic() - input.first_attempt);
    const AttemptRow row{
        input.attempt, clock.now() - since,        input.first_failure,   input.last_failure,
        next,          input.failure->error_class, input.failure->message};
    const std::string name = input_name(input);
    rows_[name] = row;
    changes_[name] = row;
    input.attempt_kept = true;
}

void Attempts::drop(const Input& input) {
    if (!input.attempt_kept) return;
    const std::string name = input_name(input);
    rows_.erase(name);
    changes_[name] = std::nullopt;
}

void Attempts::forget(const TopicPartition& origin) {
    const std::string prefix = input_prefix(origin);
    for (auto row = rows_.lower_bound(prefix); row != rows_.end() && row->first.starts_with(prefix);
         row = rows_.erase(row))
        changes_[row->first] = std::nullopt;
}

Result<void> Attempts::save(StateFile& state) const {
    for (const auto& [input, row] : changes_) {
        auto done = row ? state.save_attempt(input, *row) : state.remove_attempt(input);
        if (!done) return done;
    }
    return {};
}

}  // namespace millrace::engine
