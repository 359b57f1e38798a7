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
// their completion get a next one. Events may be read in any order: a completion that is read
// before its rule is kept for it. docs/RECURRENCE.md says what is understood.
#include <millrace/plugin.hpp>
#include <utility>

#include "next_event.hpp"
#include "plan.hpp"
#include "questions.hpp"
#include "rule.hpp"
#include "task_table.hpp"

namespace millrace::recurring {
namespace {

constexpr std::string_view kFirstShard = "0";
constexpr std::string_view kNotMine = "{}";  // the answer of a shard that leaves it to another

class Recurring final : public Handler {
public:
    static Description describe();
    static void migrate(Context& context, std::uint32_t from_version) {
        TaskTable::migrate(context, from_version);
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
    Outcome remember(const Event& event, bool old);
    Outcome note(const Event& event, bool old);
    Outcome bury(const Event& event);
    Outcome complete(const Event& event, bool old);
    Outcome advance(Task task, const Event& event, bool old);
    Outcome wait(const Task& task);
    Outcome go_on(Task task);
    Outcome make_next(Task task, const Plan& plan);
    Outcome set_aside(Task row, const Plan& plan);
    bool is_old(Time record);
    bool is_behind(Time record) { return record + settle_ < context().now(); }
    void hear_of(Task& task, std::int64_t time);
    void stop_waiting(Task& task);
    Task load(const Event& event) const;
    std::string place(const Task& task) const {
        return "task " + task.task + " of user " + task.user;
    }

    std::string topic_;
    CatchUp catch_up_;
    Zone zone_;
    std::chrono::milliseconds settle_;
    std::int64_t max_steps_;
    bool answers_preview_;  // it is the same in every shard: one answers
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
        .state_version = 2,
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
                 .between(1'000, 100'000'000),
             Option::integer("max_steps",
                             "days and times looked at to find an occurrence; a rule that takes "
                             "more is refused")
                 .or_else(std::to_string(kMaxSteps))
                 .between(10'000, 100'000'000)},
        .questions = {{"preview",
                       {"rule", "interval", "start", "zone", "count"},
                       "The occurrences of a rule, without any task."},
                      {"series", {"user", "limit"}, "The live series, and what comes next."}}};
}

Recurring::Recurring(const Setup& setup)
    : Handler(setup),
      topic_(setup.options.text("topic")),
      catch_up_(setup.options.text("catch_up") == "every" ? CatchUp::kEvery : CatchUp::kSkip),
      zone_(Zone::find(setup.options.text("timezone")).value()),
      settle_(setup.options.duration("settle")),
      max_steps_(setup.options.integer("max_steps")),
      answers_preview_(setup.shard == kFirstShard),
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
    const bool old = is_old(event.record_time());
    if (old) last_old_record_ = context().now();
    if (event.type() == "completed") return complete(event, old);
    if (event.type() == "created" || event.type() == "updated") return remember(event, old);
    if (event.type() == "deleted") return bury(event);
    return note(event, old);
}

Task Recurring::load(const Event& event) const {
    if (auto found = tasks_.find(*event.user(), *event.task())) return *std::move(found);
    Task task;
    task.user = std::string(*event.user());
    task.task = std::string(*event.task());
    return task;
}

void Recurring::stop_waiting(Task& task) {
    if (task.hold != Hold::kNone)
        context().cancel_timer(Json::array({task.user, task.task}).dump());
    task.hold = Hold::kNone;
}

// A later event calls off what waits for news.
void Recurring::hear_of(Task& task, std::int64_t time) {
    if (task.hold == Hold::kNews && time > task.completed.value_or(kNever)) {
        stop_waiting(task);
        task.completed.reset();
        context().count("superseded");
    }
    task.time = std::max(task.time, time);
}

Outcome Recurring::remember(const Event& event, bool old) {
    Facts facts = read_facts(event);
    facts.rule_gone = facts.rule_gone || (event.type() == "created" && !facts.rule);
    Task task = load(event);
    if (task.state == TaskState::kDeleted && facts.time > task.time) {
        task = Task{.user = task.user, .task = task.task};
    }
    // Among old records the completion may come behind, and must know that this one is later.
    if (!task.is_known() && !old && !facts.rule && !facts.due) return ack();
    hear_of(task, facts.time);
    recurring::merge(task, facts);
    // The completion was read before the rule.
    const bool was_missing = facts.rule && task.completed && facts.time <= *task.completed;
    if (task.state == TaskState::kOpen && was_missing) return advance(std::move(task), event, old);
    tasks_.save(task);
    return ack();
}

// An event of another type tells no more than that the task lived on.
Outcome Recurring::note(const Event& event, bool old) {
    Task task = load(event);
    if (!old && task.hold != Hold::kNews) return ack();
    hear_of(task, time_of(event));
    tasks_.save(task);
    return ack();
}

Outcome Recurring::bury(const Event& event) {
    Task task = load(event);
    stop_waiting(task);
    if (task.rule.value && task.state == TaskState::kOpen) context().count("deleted");
    task.time = std::max(task.time, time_of(event));
    task.state = TaskState::kDeleted;
    task.completed.reset();
    tasks_.save(task);
    return ack();
}

Outcome Recurring::complete(const Event& event, bool old) {
    Facts facts = read_facts(event);
    Task task = load(event);
    if (task.state != TaskState::kOpen) {
        if (task.rule.value) context().count("again");
        return ack();
    }
    if (is_custom(facts.rule) && task.rule.value) facts.rule.reset();
    task.completed = std::max(facts.time, task.completed.value_or(facts.time));
    recurring::merge(task, facts);
    return advance(std::move(task), event, old);
}

// What a completed task comes to. Without a rule it is kept: an event that is read later may bring
// it.
Outcome Recurring::advance(Task task, const Event& event, bool old) {
    stop_waiting(task);
    if (!task.rule.value) {
        tasks_.save(task);
        return ack();
    }
    if (old && task.time > *task.completed) {
        task.completed.reset();
        context().count("superseded");
        tasks_.save(task);
        return ack();
    }
    if (old) {
        task.hold = Hold::kNews;
    } else if (!task.due.value && settle_.count() > 0 && is_behind(event.record_time())) {
        task.hold = Hold::kFacts;
    }
    return task.hold == Hold::kNone ? go_on(std::move(task)) : wait(task);
}

Outcome Recurring::wait(const Task& task) {
    tasks_.save(task);
    context().set_timer(Json::array({task.user, task.task}).dump(), task.user,
                        context().now() + settle_, task.task);
    return ack();
}

Outcome Recurring::on_timer(const Timer& timer) {
    auto task = tasks_.find(timer.key(), timer.payload());
    if (!task || task->hold == Hold::kNone || !task->completed) return ack();
    const bool for_news = task->hold == Hold::kNews && is_old(Time::min());
    if (for_news && context().now() < last_old_record_ + settle_) {
        context().set_timer(timer.id(), timer.key(), last_old_record_ + settle_, timer.payload());
        return ack();
    }
    task->hold = Hold::kNone;
    return go_on(*std::move(task));
}

Outcome Recurring::go_on(Task task) {
    Steps steps(max_steps_);
    const Plan plan =
        plan_next(task, date::floor<std::chrono::seconds>(from_microseconds(*task.completed)),
                  catch_up_, zone_, steps);
    if (!plan.bad_zone.empty()) {
        context().warn(place(task) + ": the time zone '" + plan.bad_zone.substr(0, 64) +
                       "' is not known, " + zone_.name() + " is taken");
        context().count("unknown_zones");
    }
    return plan.kind == PlanKind::kNext ? make_next(std::move(task), plan)
                                        : set_aside(std::move(task), plan);
}

Outcome Recurring::make_next(Task task, const Plan& plan) {
    task.completed.reset();
    Task next = task;
    next.series = short_id(task.series.value_or(task.task));
    next.task = *next.series + "~" + date::format("%Y%m%dT%H%M%SZ", plan.due);
    next.anchor = format_local(plan.anchor);
    next.due = {to_microseconds(plan.due), task.time};
    if (!plan.bad_zone.empty() || next.zone.value == "") next.zone.value.reset();
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

Outcome Recurring::set_aside(Task row, const Plan& plan) {
    switch (plan.kind) {
        case PlanKind::kNext:
        case PlanKind::kNotRecurring:
            break;
        case PlanKind::kEnded:
            row.state = TaskState::kEnded;
            row.completed.reset();
            context().count("ended");
            context().info(place(row) + ": the series has no further occurrence");
            break;
        case PlanKind::kCustom:
            context().count("custom_rules");
            context().info(place(row) +
                           ": the rule is 'custom', which is not in the event; nothing recurs");
            break;
        case PlanKind::kRefused:
            row.completed.reset();
            context().count("refused_rules");
            context().warn(place(row) + ": the rule is refused: " + plan.problem);
            break;
    }
    tasks_.save(row);
    return ack();
}

std::optional<std::string> Recurring::on_query(std::string_view question,
                                               const Parameters& parameters) {
    if (question == "preview" && !answers_preview_) return std::string(kNotMine);
    if (question == "preview")
        return answer_preview(parameters, context().now(), zone_, max_steps_);
    if (question == "series") return answer_series(parameters, tasks_, zone_, max_steps_);
    return std::nullopt;
}

std::string Recurring::merge(std::string_view question, const Parameters&,
                             std::span<const std::string_view> answers) {
    if (question == "preview") {
        for (const std::string_view answer : answers) {
            if (answer != kNotMine) return std::string(answer);
        }
        throw std::runtime_error("the shard that answers is not here");
    }
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
