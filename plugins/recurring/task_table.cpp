#include "task_table.hpp"

namespace millrace::recurring {
namespace {

constexpr std::int64_t kSavesPerPruning = 1'000;

#define MILLRACE_TASK_COLUMNS                                                                  \
    "user, task, state, time, due, title, description, priority, tags, rule, interval, zone, " \
    "until, anchor, "                                                                          \
    "series, next, waiting"

std::optional<std::string> text(const Row& row, std::size_t column) {
    const auto view = row.optional_text(column);
    return view ? std::optional<std::string>(*view) : std::nullopt;
}

Task read_task(const Row& row) {
    return {.user = std::string(row.text(0)),
            .task = std::string(row.text(1)),
            .state = static_cast<TaskState>(row.integer(2)),
            .time = row.integer(3),
            .due = row.optional_integer(4),
            .title = text(row, 5),
            .description = text(row, 6),
            .priority = text(row, 7),
            .tags = text(row, 8),
            .rule = text(row, 9),
            .interval = row.optional_integer(10),
            .zone = text(row, 11),
            .until = text(row, 12),
            .anchor = text(row, 13),
            .series = text(row, 14),
            .next = text(row, 15),
            .waiting = row.optional_integer(16)};
}

}  // namespace

void TaskTable::create(Context& context) {
    context.exec(
        "CREATE TABLE tasks(user TEXT NOT NULL, task TEXT NOT NULL, state INTEGER NOT NULL, time "
        "INTEGER NOT NULL, "
        "due INTEGER, title TEXT, description TEXT, priority TEXT, tags TEXT, rule TEXT, interval "
        "INTEGER, zone TEXT, "
        "until TEXT, anchor TEXT, series TEXT, next TEXT, waiting INTEGER, live INTEGER NOT NULL, "
        "PRIMARY KEY(user, task)) WITHOUT ROWID");
    context.exec("CREATE INDEX idle_tasks ON tasks(time) WHERE live = 0");
    context.exec("CREATE INDEX live_tasks ON tasks(user, due) WHERE live = 1");
    context.exec("CREATE TABLE facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID");
    context.exec("INSERT INTO facts VALUES('first_start', ?1)", context.now());
}

std::optional<Task> TaskTable::find(std::string_view user, std::string_view task) const {
    std::optional<Task> found;
    context_.query(
        "SELECT " MILLRACE_TASK_COLUMNS " FROM tasks WHERE user = ?1 AND task = ?2",
        [&found](const Row& row) { found = read_task(row); }, user, task);
    return found;
}

void TaskTable::save(const Task& task) {
    const bool live = task.state == TaskState::kOpen && task.rule;
    context_.exec("INSERT OR REPLACE INTO tasks(" MILLRACE_TASK_COLUMNS
                  ", live) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
                  "?15, ?16, ?17, ?18)",
                  task.user, task.task, static_cast<int>(task.state), task.time, task.due,
                  task.title, task.description, task.priority, task.tags, task.rule, task.interval,
                  task.zone, task.until, task.anchor, task.series, task.next, task.waiting, live);
    if (++saved_ % kSavesPerPruning == 0) prune();
}

void TaskTable::prune() {
    context_.exec(
        "DELETE FROM tasks WHERE (user, task) IN (SELECT user, task FROM tasks WHERE live = 0 AND "
        "waiting IS NULL "
        "ORDER BY time LIMIT max(0, (SELECT count(*) FROM tasks WHERE live = 0) - ?1))",
        keep_);
}

void TaskTable::each_live(std::optional<std::string_view> user, std::int64_t limit,
                          const std::function<void(const Task&)>& take) const {
    const auto each = [&take](const Row& row) { take(read_task(row)); };
    if (user) {
        context_.query("SELECT " MILLRACE_TASK_COLUMNS
                       " FROM tasks WHERE live = 1 AND user = ?1 ORDER BY due LIMIT ?2",
                       each, *user, limit);
    } else {
        context_.query("SELECT " MILLRACE_TASK_COLUMNS
                       " FROM tasks WHERE live = 1 ORDER BY user, due LIMIT ?1",
                       each, limit);
    }
}

std::int64_t TaskTable::first_start() const {
    return context_.integer("SELECT value FROM facts WHERE name = 'first_start'").value_or(0);
}

}  // namespace millrace::recurring
