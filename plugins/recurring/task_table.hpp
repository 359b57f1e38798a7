// TaskTable: the tasks of one shard, by user and task. A row is also the proof that its occurrence
// was made: the id of the next task is made of series and due, and (user, task) is the key.
//
// Used inside callbacks of the shard's instance only; what it writes commits with the input.
// Errors: ServiceError.
#pragma once

#include <functional>
#include <millrace/plugin.hpp>
#include <optional>
#include <string_view>

#include "task.hpp"

namespace millrace::recurring {

class TaskTable {
public:
    // Makes the tables, or brings those of an older version up to date.
    static void migrate(Context& context, std::uint32_t from_version);

    TaskTable(Context& context, std::int64_t keep) : context_(context), keep_(keep) {}

    std::optional<Task> find(std::string_view user, std::string_view task) const;
    // Writes the row; now and then removes the oldest of those that have nothing to recur, beyond
    // `keep`.
    void save(const Task& task);
    // Live series in the order of their due, of one user or of all.
    void each_live(std::optional<std::string_view> user, std::int64_t limit,
                   const std::function<void(const Task&)>& take) const;
    // When this shard's state was made.
    std::int64_t first_start() const;

private:
    void prune();

    Context context_;
    std::int64_t keep_;
    std::int64_t saved_ = 0;
};

}  // namespace millrace::recurring
