#include "reminder_table.hpp"

namespace millrace::notification {
namespace {

constexpr std::int64_t kCancellationsPerPruning = 500;

#define MILLRACE_REMINDER_COLUMNS "user, task, name, time, wanted, remind_at, due, title, event_id"

std::optional<std::string> text(const Row& row, std::size_t column) {
    const auto view = row.optional_text(column);
    return view ? std::optional<std::string>(*view) : std::nullopt;
}

Reminder read_reminder(const Row& row) {
    return {.user = std::string(row.text(0)),
            .task = std::string(row.text(1)),
            .name = std::string(row.text(2)),
            .time = row.integer(3),
            .wanted = row.integer(4),
            .remind_at = row.optional_integer(5),
            .due = row.optional_integer(6),
            .title = text(row, 7),
            .event_id = std::string(row.text(8))};
}

}  // namespace

void ReminderTable::create(Context& context) {
    context.exec(
        "CREATE TABLE reminders(user TEXT NOT NULL, task TEXT NOT NULL, name TEXT NOT NULL, waits "
        "INTEGER NOT NULL, "
        "time INTEGER NOT NULL, wanted INTEGER NOT NULL, remind_at INTEGER, due INTEGER, title "
        "TEXT, event_id TEXT NOT NULL, "
        "PRIMARY KEY(user, task, name)) WITHOUT ROWID");
    context.exec("CREATE INDEX waiting_reminders ON reminders(user, wanted) WHERE waits = 1");
    context.exec("CREATE INDEX cancelled_reminders ON reminders(time) WHERE waits = 0");
}

std::optional<std::int64_t> ReminderTable::newest(const Reminder& reminder) const {
    return context_.integer(
        "SELECT max(time) FROM reminders WHERE user = ?1 AND task = ?2 AND (name = ?3 OR (name = "
        "'' AND waits = 0))",
        reminder.user, reminder.task, reminder.name);
}

void ReminderTable::schedule(const Reminder& reminder) {
    context_.exec("INSERT OR REPLACE INTO reminders(" MILLRACE_REMINDER_COLUMNS
                  ", waits) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)",
                  reminder.user, reminder.task, reminder.name, reminder.time, reminder.wanted,
                  reminder.remind_at, reminder.due, reminder.title, reminder.event_id);
}

std::optional<Reminder> ReminderTable::find(std::string_view user, std::string_view task,
                                            std::string_view name) const {
    const auto found = waiting_of_task(user, task, name);
    return found.empty() ? std::nullopt : std::optional(found.front());
}

std::vector<Reminder> ReminderTable::waiting_of_task(std::string_view user, std::string_view task,
                                                     std::optional<std::string_view> name) const {
    std::vector<Reminder> found;
    context_.query(
        "SELECT " MILLRACE_REMINDER_COLUMNS
        " FROM reminders WHERE user = ?1 AND task = ?2 AND waits = 1 AND (?3 IS NULL OR name = ?3)",
        [&found](const Row& row) { found.push_back(read_reminder(row)); }, user, task, name);
    return found;
}

void ReminderTable::cancel(const Reminder& reminder, std::int64_t time) {
    context_.exec("INSERT OR REPLACE INTO reminders(" MILLRACE_REMINDER_COLUMNS
                  ", waits) VALUES(?1, ?2, ?3, ?4, ?4, NULL, NULL, NULL, ?5, 0)",
                  reminder.user, reminder.task, reminder.name, time, reminder.event_id);
    if (++cancelled_ % kCancellationsPerPruning != 0) return;
    context_.exec(
        "DELETE FROM reminders WHERE (user, task, name) IN (SELECT user, task, name FROM reminders "
        "WHERE waits = 0 "
        "ORDER BY time LIMIT max(0, (SELECT count(*) FROM reminders WHERE waits = 0) - ?1))",
        keep_);
}

void ReminderTable::remove(const Reminder& reminder) {
    context_.exec("DELETE FROM reminders WHERE user = ?1 AND task = ?2 AND name = ?3 AND waits = 1",
                  reminder.user, reminder.task, reminder.name);
}

std::vector<Reminder> ReminderTable::overdue(Time time, std::int64_t limit) const {
    std::vector<Reminder> found;
    context_.query(
        "SELECT " MILLRACE_REMINDER_COLUMNS
        " FROM reminders WHERE waits = 1 AND wanted < ?1 ORDER BY wanted LIMIT ?2",
        [&found](const Row& row) { found.push_back(read_reminder(row)); }, time, limit);
    return found;
}

void ReminderTable::each_waiting(std::optional<std::string_view> user, Time from,
                                 std::int64_t limit,
                                 const std::function<void(const Reminder&)>& take) const {
    context_.query(
        "SELECT " MILLRACE_REMINDER_COLUMNS
        " FROM reminders WHERE waits = 1 AND (?1 IS NULL OR user = ?1) AND wanted >= ?3 ORDER BY "
        "wanted LIMIT ?2",
        [&take](const Row& row) { take(read_reminder(row)); }, user, limit, from);
}

}  // namespace millrace::notification
