// recurring: makes the next task when a recurring one is completed.
//
//     handlers:
//       recurring: {plugin: recurring, topics: [task-events], config: {timezone: Europe/Paris}}
//
//     millrace query recurring preview rule=monthly start=2026-01-31T09:00 zone=Europe/Paris
//     millrace query recurring series user=7
//
// One next task however often a task is completed: the row of a completed task says so, and the
// next one's id is made of its series and due. Published as `created` on `topic`; what it says of
// the series lets the chain go on. State: the tasks of the shard's users. What lay in the topic
// before the first start waits for `settle` without news, so that only tasks whose last event is
// their completion get a next one. docs/RECURRENCE.md says what is understood.
#include <millrace/plugin.hpp>
#include <utility>

#include "plan.hpp"
#include "questions.hpp"
#include "rule.hpp"
#include "task_table.hpp"

namespace millrace::recurring {
namespace {

// What task-event.v1.json allows: an event beyond it would be refused.
constexpr std::size_t kMaxTitle = 2'000;
constexpr std::size_t kMaxPriority = 64;
constexpr std::size_t kMaxTag = 256;
constexpr std::size_t kMaxTags = 1'000;
constexpr std::size_t kMaxSeriesId = 200;

// A cut never falls inside a character of UTF-8.
std::string cut(std::string text, std::size_t size) {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    text.resize(size);
    return text;
}

// FNV-1a, for series whose id is too long to be carried in others.
std::string short_id(const std::string& id) {
    if (id.size() <= kMaxSeriesId) return id;
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char each : id) hash = (hash ^ static_cast<unsigned char>(each)) * 1099511628211ULL;
    return cut(id, kMaxSeriesId - 24) + "~" + std::to_string(hash);
}

Json tags_of(const Task& task) {
    if (!task.tags || !task.tags->starts_with('[')) return nullptr;
    try {
        Json tags = Json::parse(*task.tags);
        for (const Json& tag : tags.items()) {
            if (!tag.is_text() || tag.text()->size() > kMaxTag) return nullptr;
        }
        return tags.items().size() > kMaxTags ? Json() : tags;
    } catch (const JsonError&) {
        return nullptr;
    }
}

Json recurrence_of(const Task& task) {
    Json recurrence = Json::object({{"rule", task.rule}});
    if (task.interval) recurrence.set("interval", *task.interval);
    if (task.zone) recurrence.set("timezone", *task.zone);
    if (task.until) recurrence.set("until", *task.until);
    recurrence.set("anchor", task.anchor);
    recurrence.set("series", task.series);
    return recurrence;
}

Json created_event(const Task& next, const std::string& parent) {
    Json data = Json::object();
    if (next.title) data.set("title", cut(*next.title, kMaxTitle));
    data.set("completed", false);
    if (next.description) data.set("description", *next.description);
    if (next.priority) data.set("priority", cut(*next.priority, kMaxPriority));
    if (Json tags = tags_of(next); !tags.is_null()) data.set("tags", std::move(tags));
    data.set("due_date", format_time(from_microseconds(*next.due)));
    data.set("recurrence", recurrence_of(next));
    data.set("parent_task_id", parent);
    return Json::object({{"event_type", "created"},
                         {"task_id", next.task},
                         {"user_id", next.user},
                         {"task_data", std::move(data)}});
}

class Recurring final : public Handler {
public:
    static Description describe();
    static void migrate(Context& context, std::uint32_t /*from_version*/) {
        TaskTable::create(context);
    }
    static std::string merge(std::string_view question, const Parameters& parameters,
                             std::span<const std::string_view> answers);

    explicit Recurring(const Setup& setup);

    Outcome on_message(const Event& event) override;
    Outcome on_timer(const Timer& timer) override;
    std::optional<std::string> on_query(std::string_view question,
                                        const Parameters& parameters) override;
    void on_rollback(Rollback) {}

private:
    Outcome remember(const Event& event, bool created);
    Outcome bury(const Event& event);
    Outcome complete(const Event& event);
    Outcome wait_for_news(Task task, std::int64_t completed);
    Outcome go_on(Task task, std::int64_t completed);
    Outcome make_next(Task task, const Plan& plan);
    Outcome set_aside(const Task& task, const Plan& plan);
    bool is_old(Time record);
    void stop_waiting(Task& task);
    Task load(const Event& event) const;
    std::string place(const Task& task) const {
        return "task " + task.task + " of user " + task.user;
    }

    std::string topic_;
    CatchUp catch_up_;
    Zone zone_;
    std::chrono::milliseconds settle_;
    TaskTable tasks_;
    std::optional<Time> first_start_;
    Time last_old_record_{};  // when a record from before the first start last came
};

bool is_zone(std::string_view name) { return Zone::find(std::string(name)).has_value(); }

Description Recurring::describe() {
    return {
        .name = "recurring",
        .version = "1.0.0",
        .description = "Makes the next task when a recurring one is completed.",
        .state_version = 1,
        .options =
            {Option::text("topic", "where the next task is published").or_else("task-events"),
             Option::text("timezone", "IANA name; for rules that name none")
                 .or_else("UTC")
                 .must_be(is_zone, "an IANA time zone like Europe/Paris (from the package tzdata)"),
             Option::choice(
                 "catch_up", "skip|every",
                 "when a task is completed late: skip what is past, or make every occurrence")
                 .or_else("skip"),
             Option::duration("settle",
                              "how long a task that was completed before the first start must be "
                              "without news")
                 .or_else("2s")
                 .between(0, 3'600'000),
             Option::integer("keep_tasks",
                             "tasks remembered in a shard that have nothing more to recur")
                 .or_else("100000")
                 .between(1'000, 100'000'000)},
        .questions = {{"preview", {"rule", "interval", "start", "zone", "count"}},
                      {"series", {"user", "limit"}}}};
}

Recurring::Recurring(const Setup& setup)
    : Handler(setup),
      topic_(setup.options.text("topic")),
      catch_up_(setup.options.text("catch_up") == "every" ? CatchUp::kEvery : CatchUp::kSkip),
      zone_(Zone::find(setup.options.text("timezone")).value()),
      settle_(setup.options.duration("settle")),
      tasks_(setup.context, setup.options.integer("keep_tasks")) {}

// An instance that is new has perhaps not seen all that is old: it waits too.
bool Recurring::is_old(Time record) {
    if (!first_start_) {
        first_start_ = from_microseconds(tasks_.first_start());
        last_old_record_ = context().now();
    }
    return settle_.count() > 0 && record < *first_start_;
}

Outcome Recurring::on_message(const Event& event) {
    if (!event.user()) return ignore("the event names no user");
    if (!event.task()) return ignore("the event names no task");
    if (is_old(event.record_time())) last_old_record_ = context().now();
    if (event.type() == "completed") return complete(event);
    if (event.type() == "created") return remember(event, true);
    if (event.type() == "updated") return remember(event, false);
    if (event.type() == "deleted") return bury(event);
    return ack();
}

Task Recurring::load(const Event& event) const {
    if (auto found = tasks_.find(*event.user(), *event.task())) return *std::move(found);
    Task task;
    task.user = std::string(*event.user());
    task.task = std::string(*event.task());
    return task;
}

void Recurring::stop_waiting(Task& task) {
    if (!task.waiting) return;
    task.waiting.reset();
    context().cancel_timer(Json::array({task.user, task.task}).dump());
}

Outcome Recurring::remember(const Event& event, bool created) {
    const Facts facts = read_facts(event);
    Task task = load(event);
    if (task.state == TaskState::kDeleted && facts.time > task.time) {
        task = Task{.user = task.user, .task = task.task};
    }
    const bool known = task.time != 0;
    if (!known && !facts.said.rule && !facts.said.due) return ack();
    if (task.waiting && facts.time > *task.waiting) {
        stop_waiting(task);
        context().count("superseded");
    }
    recurring::merge(task,
                     created && !facts.said.rule ? Facts{facts.time, facts.said, true} : facts);
    tasks_.save(task);
    return ack();
}

Outcome Recurring::bury(const Event& event) {
    Task task = load(event);
    stop_waiting(task);
    if (task.rule && task.state == TaskState::kOpen) context().count("deleted");
    task.time = std::max(task.time, time_of(event));
    task.state = TaskState::kDeleted;
    tasks_.save(task);
    return ack();
}

Outcome Recurring::complete(const Event& event) {
    const Facts facts = read_facts(event);
    Task task = load(event);
    if (task.state != TaskState::kOpen) {
        if (task.rule) context().count("again");
        return ack();
    }
    const bool custom = facts.said.rule && read_rule(*facts.said.rule).kind == ReadingKind::kCustom;
    Facts used = facts;
    if (custom && task.rule) used.said.rule.reset();
    recurring::merge(task, used);
    if (!task.rule) return ack();
    if (is_old(event.record_time())) return wait_for_news(std::move(task), facts.time);
    stop_waiting(task);
    return go_on(std::move(task), facts.time);
}

Outcome Recurring::wait_for_news(Task task, std::int64_t completed) {
    task.waiting = std::max(completed, task.waiting.value_or(completed));
    tasks_.save(task);
    context().set_timer(Json::array({task.user, task.task}).dump(), task.user,
                        context().now() + settle_, task.task);
    return ack();
}

Outcome Recurring::on_timer(const Timer& timer) {
    auto task = tasks_.find(timer.key(), timer.payload());
    if (!task || !task->waiting) return ack();
    if (is_old(Time::min()) && context().now() < last_old_record_ + settle_) {
        context().set_timer(timer.id(), timer.key(), last_old_record_ + settle_, timer.payload());
        return ack();
    }
    const std::int64_t completed = *std::exchange(task->waiting, std::nullopt);
    return go_on(*std::move(task), completed);
}

Outcome Recurring::go_on(Task task, std::int64_t completed) {
    const Plan plan = plan_next(
        task, date::floor<std::chrono::seconds>(from_microseconds(completed)), catch_up_, zone_);
    if (!plan.bad_zone.empty()) {
        context().warn(place(task) + ": the time zone '" + plan.bad_zone.substr(0, 64) +
                       "' is not known, " + zone_.name() + " is taken");
        context().count("unknown_zones");
    }
    return plan.kind == PlanKind::kNext ? make_next(std::move(task), plan) : set_aside(task, plan);
}

Outcome Recurring::make_next(Task task, const Plan& plan) {
    Task next = task;
    next.series = task.series ? *task.series : short_id(task.task);
    next.task = *next.series + "~" + date::format("%Y%m%dT%H%M%SZ", plan.due);
    next.anchor = format_local(plan.anchor);
    next.due = to_microseconds(plan.due);
    if (!plan.bad_zone.empty() || next.zone == "") next.zone.reset();
    task.state = TaskState::kContinued;
    task.next = next.task;
    tasks_.save(task);
    if (tasks_.find(next.user, next.task)) {
        context().count("again");
        return ack();
    }
    tasks_.save(next);
    context().publish(topic_, next.user, created_event(next, task.task).dump());
    context().count("created");
    return ack();
}

Outcome Recurring::set_aside(const Task& task, const Plan& plan) {
    Task row = task;
    switch (plan.kind) {
        case PlanKind::kNext:
        case PlanKind::kNotRecurring:
            break;
        case PlanKind::kEnded:
            row.state = TaskState::kEnded;
            context().count("ended");
            context().info(place(task) + ": the series has no further occurrence");
            break;
        case PlanKind::kCustom:
            context().count("custom_rules");
            context().info(place(task) +
                           ": the rule is 'custom', which is not in the event; nothing recurs");
            break;
        case PlanKind::kRefused:
            context().count("refused_rules");
            context().warn(place(task) + ": the rule is not understood: " + plan.problem);
            break;
    }
    tasks_.save(row);
    return ack();
}

std::optional<std::string> Recurring::on_query(std::string_view question,
                                               const Parameters& parameters) {
    if (question == "preview") return answer_preview(parameters, context().now(), zone_);
    if (question == "series") return answer_series(parameters, tasks_, zone_);
    return std::nullopt;
}

std::string Recurring::merge(std::string_view question, const Parameters&,
                             std::span<const std::string_view> answers) {
    if (question == "preview") return std::string(answers.front());
    Json items = Json::array();
    for (const std::string_view answer : answers) {
        const Json shard = Json::parse(answer);
        const Json* part = shard.find("items");
        for (const Json& item : part ? part->items() : Json::Array{}) items.push_back(item);
    }
    return Json::object({{"items", std::move(items)}}).dump();
}

}  // namespace
}  // namespace millrace::recurring

MILLRACE_PLUGIN(millrace::recurring::Recurring)
