#include "task_table.hpp"

namespace millrace::recurring {
namespace {

constexpr std::int64_t kSavesPerPruning = 1'000;

#define MILLRACE_TASK_COLUMNS                                                                    \
    "user, task, state, time, due, due_time, title, title_time, description, description_time, " \
    "priority, priority_time, tags, tags_time, rule, rule_time, interval, zone, zone_time, "     \
    "until, until_time, anchor, series, next, completed, hold"

std::optional<std::string> text(const Row& row, std::size_t column) {
    const auto view = row.optional_text(column);
    return view ? std::optional<std::string>(*view) : std::nullopt;
}

std::int64_t fact_time(const Row& row, std::size_t column) {
    return row.optional_integer(column).value_or(kNever);
}

// A value, and its time in the next column.
Fact<std::string> text_fact(const Row& row, std::size_t column) {
    return {text(row, column), fact_time(row, column + 1)};
}

Task read_task(const Row& row) {
    return {.user = std::string(row.text(0)),
            .task = std::string(row.text(1)),
            .state = static_cast<TaskState>(row.integer(2)),
            .time = row.integer(3),
            .due = {row.optional_integer(4), fact_time(row, 5)},
            .title = text_fact(row, 6),
            .description = text_fact(row, 8),
            .priority = text_fact(row, 10),
            .tags = text_fact(row, 12),
            .rule = text_fact(row, 14),
            .interval = row.optional_integer(16),
            .zone = text_fact(row, 17),
            .until = text_fact(row, 19),
            .anchor = text(row, 21),
            .series = text(row, 22),
            .next = text(row, 23),
            .completed = row.optional_integer(24),
            .hold = static_cast<Hold>(row.integer(25))};
}

template <class T>
std::optional<std::int64_t> time_or_null(const Fact<T>& fact) {
    return fact.time == kNever ? std::nullopt : std::optional(fact.time);
}

void create_tasks(Context& context) {
    context.exec(
        "CREATE TABLE known_tasks(user TEXT NOT NULL, task TEXT NOT NULL, state INTEGER NOT NULL, "
        "time INTEGER NOT NULL, due INTEGER, due_time INTEGER, title TEXT, title_time INTEGER, "
        "description TEXT, description_time INTEGER, priority TEXT, priority_time INTEGER, "
        "tags TEXT, tags_time INTEGER, rule TEXT, rule_time INTEGER, interval INTEGER, zone TEXT, "
        "zone_time INTEGER, until TEXT, until_time INTEGER, anchor TEXT, series TEXT, next TEXT, "
        "completed INTEGER, hold INTEGER NOT NULL, live INTEGER NOT NULL, "
        "PRIMARY KEY(user, task)) WITHOUT ROWID");
    context.exec("CREATE INDEX idle_known_tasks ON known_tasks(time) WHERE live = 0 AND hold = 0");
    context.exec("CREATE INDEX live_known_tasks ON known_tasks(user, due) WHERE live = 1");
}

// Version 1 kept one time for all facts, and as completed only what waited for news.
void take_over_version_1(Context& context) {
    context.exec("INSERT INTO known_tasks(" MILLRACE_TASK_COLUMNS
                 ", live) SELECT user, task, state, time, due, time, title, time, description, "
                 "time, priority, time, tags, time, rule, time, interval, zone, time, until, time, "
                 "anchor, series, next, waiting, waiting IS NOT NULL, live FROM tasks");
    context.exec("DROP TABLE tasks");
}

}  // namespace

void TaskTable::migrate(Context& context, std::uint32_t from_version) {
    create_tasks(context);
    if (from_version == 1) return take_over_version_1(context);
    context.exec("CREATE TABLE facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID");
    context.exec("INSERT INTO facts VALUES('first_start', ?1)", context.now());
}

std::optional<Task> TaskTable::find(std::string_view user, std::string_view task) const {
    std::optional<Task> found;
    context_.query(
        "SELECT " MILLRACE_TASK_COLUMNS " FROM known_tasks WHERE user = ?1 AND task = ?2",
        [&found](const Row& row) { found = read_task(row); }, user, task);
    return found;
}

void TaskTable::save(const Task& task) {
    const bool live = task.state == TaskState::kOpen && task.rule.value;
    context_.exec(
        "INSERT OR REPLACE INTO known_tasks(" MILLRACE_TASK_COLUMNS
        ", live) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
        "?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
        task.user, task.task, static_cast<int>(task.state), task.time, task.due.value,
        time_or_null(task.due), task.title.value, time_or_null(task.title), task.description.value,
        time_or_null(task.description), task.priority.value, time_or_null(task.priority),
        task.tags.value, time_or_null(task.tags), task.rule.value, time_or_null(task.rule),
        task.interval, task.zone.value, time_or_null(task.zone), task.until.value,
        time_or_null(task.until), task.anchor, task.series, task.next, task.completed,
        static_cast<int>(task.hold), live);
    if (++saved_ % kSavesPerPruning == 0) prune();
}

void TaskTable::prune() {
    context_.exec(
        "DELETE FROM known_tasks WHERE (user, task) IN (SELECT user, task FROM known_tasks WHERE "
        "live = 0 AND hold = 0 ORDER BY time LIMIT max(0, (SELECT count(*) FROM known_tasks WHERE "
        "live = 0 AND hold = 0) - ?1))",
        keep_);
}

void TaskTable::each_live(std::optional<std::string_view> user, std::int64_t limit,
                          const std::function<void(const Task&)>& take) const {
    const auto each = [&take](const Row& row) { take(read_task(row)); };
    if (user) {
        context_.query("SELECT " MILLRACE_TASK_COLUMNS
                       " FROM known_tasks WHERE live = 1 AND user = ?1 ORDER BY due LIMIT ?2",
                       each, *user, limit);
    } else {
        context_.query("SELECT " MILLRACE_TASK_COLUMNS
                       " FROM known_tasks WHERE live = 1 ORDER BY user, due LIMIT ?1",
                       each, limit);
    }
}

std::int64_t TaskTable::first_start() const {
    return context_.integer("SELECT value FROM facts WHERE name = 'first_start'").value_or(0);
}

}  // namespace millrace::recurring
