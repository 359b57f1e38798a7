// ReminderTable: the reminders of a shard's users that wait for their time, and which tasks had
// theirs cancelled.
//
// A cancellation stays as a row, so that an older schedule that arrives after it (another topic,
// another partition) does not bring the reminder back. Used inside callbacks of the shard's
// instance only. Errors: ServiceError.
#pragma once

#include <functional>
#include <millrace/plugin.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "reminder.hpp"

namespace millrace::notification {

class ReminderTable {
public:
    static void create(Context& context);

    // `keep`: how many cancellations are remembered.
    ReminderTable(Context& context, std::int64_t keep) : context_(context), keep_(keep) {}

    // The time of the newest event about this reminder, or about all of its task.
    std::optional<std::int64_t> newest(const Reminder& reminder) const;
    void schedule(const Reminder& reminder);
    std::optional<Reminder> find(std::string_view user, std::string_view task,
                                 std::string_view name) const;
    // Those of a task that wait; of one name, or all.
    std::vector<Reminder> waiting_of_task(std::string_view user, std::string_view task,
                                          std::optional<std::string_view> name) const;
    void cancel(const Reminder& reminder, std::int64_t time);
    void remove(const Reminder& reminder);
    // Waiting ones that were wanted before `time`.
    std::vector<Reminder> overdue(Time time, std::int64_t limit) const;
    // Those wanted at `from` or later.
    void each_waiting(std::optional<std::string_view> user, Time from, std::int64_t limit,
                      const std::function<void(const Reminder&)>& take) const;

private:
    Context context_;
    std::int64_t keep_;
    std::int64_t cancelled_ = 0;
};

}  // namespace millrace::notification
