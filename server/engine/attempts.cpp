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
    input.attempt = row.attempt;
    input.attempt_kept = true;
    input.first_failure = row.first_failure;
    input.last_failure = row.last_failure;
    input.failure = Failure{row.error_class, row.message};
    // The wall clock may have been set back: then the wait begins again.
    const auto planned = row.next - row.last_failure;
    const auto wait =
        std::clamp<Timestamp::duration>(row.next - clock.now(), Timestamp::duration(0), planned);
    input.budget_since = clock.monotonic() + wait - row.spent;
    return std::chrono::ceil<milliseconds>(wait);
}

void Attempts::keep(Input& input, Timestamp next, std::chrono::nanoseconds spent) {
    const AttemptRow row{input.attempt,
                         input.first_failure,
                         input.last_failure,
                         next,
                         input.failure->error_class,
                         input.failure->message,
                         std::chrono::duration_cast<Timestamp::duration>(spent)};
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

void Attempts::forget_below(const TopicPartition& origin, Offset first) {
    const std::string prefix = input_prefix(origin);
    auto row = rows_.lower_bound(prefix);
    while (row != rows_.end() && row->first.starts_with(prefix)) {
        if (std::stoll(row->first.substr(prefix.size())) >= first.value) {
            ++row;
            continue;
        }
        changes_[row->first] = std::nullopt;
        row = rows_.erase(row);
    }
}

Result<void> Attempts::save(StateFile& state) const {
    for (const auto& [input, row] : changes_) {
        auto done = row ? state.save_attempt(input, *row) : state.remove_attempt(input);
        if (!done) return done;
    }
    return {};
}

}  // namespace millrace::engine
