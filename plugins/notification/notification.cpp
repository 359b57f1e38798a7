// notification: delivers reminders at their time, to a webhook and to the user's screens.
//
//     handlers:
//       notification: {plugin: notification, topics: [reminders, task-events], config:
//       {webhook_url: https://example.org/hook}}
//
//     millrace query notification timers user=7
//     millrace query notification deliveries user=7
//
// `schedule` waits for remind_at as a durable timer, `due` is delivered at once, `cancel` and a
// completed or deleted task call it off. A newer schedule of a task replaces the older one; (user,
// task, remind_at) is delivered once, whatever the event ids. The webhook is called after the
// commit, at least once, with an Idempotency-Key; the server retries it. Screens get a `reminder`
// event on task-updates.
#include <algorithm>
#include <millrace/plugin.hpp>
#include <utility>

#include "delivery_table.hpp"
#include "questions.hpp"
#include "reminder_table.hpp"

namespace millrace::notification {
namespace {

constexpr std::size_t kMaxDetail = 200;
constexpr std::int64_t kSchedulesPerSweep = 1'000;
constexpr std::int64_t kSwept = 1'000;

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string_view trimmed(std::string_view text) {
    const std::size_t start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(' ') - start + 1);
}

// RFC 9110, section 5.6.2.
bool is_token(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_header(std::string_view line) {
    const std::size_t colon = line.find(':');
    const std::string_view name = trimmed(line.substr(0, colon));
    return colon != std::string_view::npos && !name.empty() &&
           std::ranges::all_of(name, is_token) &&
           line.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

Headers read_headers(const std::vector<std::string>& lines) {
    Headers headers;
    for (const std::string_view line : lines) {
        const std::size_t colon = line.find(':');
        headers.emplace_back(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
    }
    return headers;
}

// Empty: no webhook.
bool is_webhook(std::string_view url) {
    const std::size_t scheme = url.find("://");
    const bool is_spoken = url.starts_with("http://") || url.starts_with("https://");
    const auto is_visible = [](char c) { return c > 0x20 && c < 0x7f; };
    return url.empty() || (is_spoken && url.size() > scheme + 3 && url[scheme + 3] != '/' &&
                           std::ranges::all_of(url, is_visible));
}

std::optional<std::int64_t> microseconds_of(const std::optional<Time>& time) {
    return time ? std::optional(to_microseconds(*time)) : std::nullopt;
}

// "Fire now" is wanted when it is published, a schedule at its time (or at the task's due).
Reminder read_reminder(const Event& event) {
    const auto title = event.field("title");
    Reminder reminder{.user = std::string(*event.user()),
                      .task = std::string(*event.task()),
                      .name = std::string(event.field("reminder_id").value_or("")),
                      .time = to_microseconds(event.record_time()),
                      .wanted = to_microseconds(event.record_time()),
                      .remind_at = microseconds_of(event.time_field("remind_at")),
                      .due = microseconds_of(event.time_field("due")),
                      .title = title ? std::optional<std::string>(*title) : std::nullopt,
                      .event_id = std::string(event.id())};
    if (event.type() == "schedule") {
        if (!reminder.remind_at) reminder.remind_at = reminder.due;
        reminder.wanted = reminder.remind_at.value_or(reminder.wanted);
    } else if (event.type() == "due" && reminder.name.empty()) {
        reminder.name = reminder.moment();  // takes the place of no schedule
    }
    return reminder;
}

class Notification final : public Handler {
public:
    static Description describe();
    static void migrate(Context& context, std::uint32_t from_version);

    explicit Notification(const Setup& setup);

    Outcome on_message(const Event& event) override;
    Outcome on_timer(const Timer& timer) override;
    Outcome on_response(const Response& response) override;
    std::optional<std::string> on_query(std::string_view question,
                                        const Parameters& parameters) override;
    void on_rollback(Rollback) {}

private:
    Outcome schedule(const Event& event);
    Outcome call_off(const Event& event);
    Outcome deliver(const Reminder& reminder);
    Outcome expire(const Reminder& reminder, Time now);
    std::string send_to_screens(const Reminder& reminder);
    void sweep(Time now);
    void send_to_webhook(const Reminder& reminder);
    bool is_outdated(const Reminder& reminder);
    Time earliest(const Event& event);

    std::string webhook_url_;
    Headers headers_;
    std::string screens_topic_;
    std::chrono::milliseconds late_after_;
    std::chrono::milliseconds settle_;
    ReminderTable reminders_;
    DeliveryTable deliveries_;
    std::optional<Time> first_start_;
    std::int64_t scheduled_ = 0;
};

Description Notification::describe() {
    return {
        .name = "notification",
        .version = "1.0.0",
        .description = "Delivers reminders at their time, to a webhook and to the user's screens.",
        .state_version = 1,
        .options = {Option::text("webhook_url", "gets a POST for every reminder; empty: none")
                        .or_else("")
                        .must_be(is_webhook, "http://host[:port]/path or https://, without blanks"),
                    Option::list("headers", "headers of that request, as 'Name: value'")
                        .must_be(is_header, "the form 'Name: value'")
                        .secret(),
                    Option::text("screens_topic",
                                 "where reminders go for the user's screens; empty: nowhere")
                        .or_else("task-updates"),
                    Option::duration("late_after",
                                     "a reminder that is read later than this is not sent any more")
                        .or_else("24h")
                        .between(1'000, 366.0 * 86'400'000),
                    Option::duration("settle",
                                     "how long a reminder from before the first start waits for a "
                                     "cancellation behind it")
                        .or_else("2s")
                        .between(0, 3'600'000),
                    Option::integer("keep_deliveries",
                                    "deliveries, and cancellations, that a shard remembers")
                        .or_else("10000")
                        .between(100, 10'000'000)},
        .questions = {
            {"timers", {"user", "limit"}, "The reminders to come, soonest first."},
            {"deliveries", {"user", "limit"}, "What was sent, newest first, and how it went."}}};
}

void Notification::migrate(Context& context, std::uint32_t /*from_version*/) {
    ReminderTable::create(context);
    DeliveryTable::create(context);
    context.exec("CREATE TABLE facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID");
    context.exec("INSERT INTO facts VALUES('first_start', ?1)", context.now());
}

Notification::Notification(const Setup& setup)
    : Handler(setup),
      webhook_url_(setup.options.text_or("webhook_url", "")),
      headers_(read_headers(setup.options.list("headers"))),
      screens_topic_(setup.options.text_or("screens_topic", "")),
      late_after_(setup.options.duration("late_after")),
      settle_(setup.options.duration("settle")),
      reminders_(setup.context, setup.options.integer("keep_deliveries")),
      deliveries_(setup.context, setup.options.integer("keep_deliveries")) {}

Outcome Notification::on_message(const Event& event) {
    const std::string_view type = event.type();
    const bool starts = type == "schedule" || type == "due";
    const bool ends = type == "cancel" || type == "completed" || type == "deleted";
    if (!starts && !ends) return ack();
    if (!event.user()) return ignore("the event names no user");
    if (!event.task()) return ignore("the event names no task");
    return starts ? schedule(event) : call_off(event);
}

// When it may be delivered at the earliest. In what lay in the topic before the first start a
// cancellation may follow.
Time Notification::earliest(const Event& event) {
    if (!first_start_) {
        first_start_ = from_microseconds(
            context().integer("SELECT value FROM facts WHERE name = 'first_start'").value_or(0));
    }
    return event.record_time() < *first_start_ ? context().now() + settle_ : context().now();
}

bool Notification::is_outdated(const Reminder& reminder) {
    const auto newest = reminders_.newest(reminder);
    return newest && reminder.time < *newest;
}

Outcome Notification::schedule(const Event& event) {
    const Reminder reminder = read_reminder(event);
    if (event.type() == "schedule" && !reminder.remind_at)
        return ignore("the reminder has no time");
    if (is_outdated(reminder)) {
        context().count("outdated");
        return ack();
    }
    if (deliveries_.knows(reminder)) {
        context().count("again");
        return ack();
    }
    const Time now = context().now();
    const Time fires = std::max(from_microseconds(reminder.wanted), earliest(event));
    if (fires <= now) {
        context().cancel_timer(reminder.timer_id());
        reminders_.remove(reminder);
        return deliver(reminder);
    }
    reminders_.schedule(reminder);
    context().set_timer(reminder.timer_id(), reminder.user, fires,
                        Json::object({{"task", reminder.task}, {"name", reminder.name}}).dump());
    if (++scheduled_ % kSchedulesPerSweep == 0) sweep(now);
    return ack();
}

// A timer that became a dead letter leaves its reminder behind, for a redrive; in the end it
// expires.
void Notification::sweep(Time now) {
    for (const Reminder& lost : reminders_.overdue(now - late_after_, kSwept)) {
        context().cancel_timer(lost.timer_id());
        reminders_.remove(lost);
        expire(lost, now);
    }
}

Outcome Notification::call_off(const Event& event) {
    Reminder off = read_reminder(event);
    const std::optional<std::string_view> name =
        off.name.empty() ? std::nullopt : std::optional<std::string_view>(off.name);
    for (const Reminder& waiting : reminders_.waiting_of_task(off.user, off.task, name)) {
        if (waiting.time > off.time) continue;
        context().cancel_timer(waiting.timer_id());
        reminders_.remove(waiting);
        context().count("cancelled");
    }
    if (!is_outdated(off)) reminders_.cancel(off, off.time);
    return ack();
}

Outcome Notification::on_timer(const Timer& timer) {
    const Json payload = Json::parse(timer.payload());
    const auto reminder =
        reminders_.find(timer.key(), payload.text_or("task", ""), payload.text_or("name", ""));
    if (!reminder) return ack();
    reminders_.remove(*reminder);
    return deliver(*reminder);
}

Outcome Notification::deliver(const Reminder& reminder) {
    const Time now = context().now();
    if (from_microseconds(reminder.wanted) + late_after_ < now) return expire(reminder, now);
    Delivery delivery{.reminder = reminder, .at = to_microseconds(now)};
    if (webhook_url_.empty()) {
        delivery.outcome = DeliveryOutcome::kDelivered;
        delivery.tries = 1;
    }
    if (!deliveries_.add(delivery)) {
        context().count("again");
        return ack();
    }
    if (!screens_topic_.empty()) delivery.detail = send_to_screens(reminder);
    if (!webhook_url_.empty()) send_to_webhook(reminder);
    const bool refused = webhook_url_.empty() && !delivery.detail.empty();
    if (refused) {
        delivery.outcome = DeliveryOutcome::kFailed;
        deliveries_.update(delivery, reminder.moment());
    }
    context().count(refused ? "failed" : "sent");
    return ack();
}

Outcome Notification::expire(const Reminder& reminder, Time now) {
    if (deliveries_.add({.reminder = reminder,
                         .at = to_microseconds(now),
                         .outcome = DeliveryOutcome::kExpired})) {
        context().warn("the reminder of task " + reminder.task + " of user " + reminder.user +
                       " was for " + format_time(from_microseconds(reminder.wanted)) +
                       ", longer ago than late_after: not sent");
        context().count("expired");
    }
    return ack();
}

// What the topic refuses for good must not keep the reminder from the webhook: why it did, or
// empty.
std::string Notification::send_to_screens(const Reminder& reminder) {
    const Json changes = Json::object({{"title", reminder.title},
                                       {"due_at", time_or_null(reminder.due)},
                                       {"remind_at", time_or_null(reminder.remind_at)}});
    const Json event = Json::object({{"event_type", "reminder"},
                                     {"task_id", reminder.task},
                                     {"user_id", reminder.user},
                                     {"changes", changes}});
    try {
        context().publish(screens_topic_, reminder.user, event.dump());
        return {};
    } catch (const ServiceError& error) {
        if (error.status() != MILLRACE_INVALID) throw;
        context().warn("the reminder of task " + reminder.task + " of user " + reminder.user +
                       " does not reach the screens: " + error.what());
        context().count("screens_refused");
        return std::string(std::string_view(error.what()).substr(0, kMaxDetail));
    }
}

void Notification::send_to_webhook(const Reminder& reminder) {
    const std::string body = Json::object({{"event", "reminder"},
                                           {"task_id", reminder.task},
                                           {"user_id", reminder.user},
                                           {"title", reminder.title},
                                           {"due_at", time_or_null(reminder.due)},
                                           {"remind_at", time_or_null(reminder.remind_at)},
                                           {"event_id", reminder.event_id}})
                                 .dump();
    const std::string id = Json::array({reminder.user, reminder.task, reminder.moment()}).dump();
    Call call{.id = id, .key = reminder.user, .url = webhook_url_, .body = body, .payload = id};
    call.headers.emplace_back("Content-Type", "application/json");
    for (const auto& [name, value] : headers_) call.headers.emplace_back(name, value);
    context().call(call);
}

Outcome Notification::on_response(const Response& response) {
    const Json parsed = Json::parse(response.payload());
    const Json::Array& key = parsed.items();
    if (key.size() != 3) return dead_letter("the response does not say which reminder it is for");
    const std::string_view moment = *key[2].text();
    auto delivery = deliveries_.find(*key[0].text(), *key[1].text(), moment);
    if (!delivery) return ack();
    delivery->at = to_microseconds(context().now());
    delivery->tries = response.tries();
    delivery->status = response.status();
    delivery->outcome =
        response.succeeded() ? DeliveryOutcome::kDelivered : DeliveryOutcome::kFailed;
    if (!response.succeeded()) {
        delivery->detail = std::string(response.body().substr(0, kMaxDetail));
        context().warn("the webhook answered " + std::to_string(response.status()) +
                       " to the reminder of task " + delivery->reminder.task + " of user " +
                       delivery->reminder.user + " after " + std::to_string(response.tries()) +
                       " tries: " + delivery->detail);
    }
    context().count(response.succeeded() ? "delivered" : "failed");
    deliveries_.update(*delivery, moment);
    return ack();
}

std::optional<std::string> Notification::on_query(std::string_view question,
                                                  const Parameters& parameters) {
    if (question == "timers")
        return list_timers(parameters, reminders_, context().now() - late_after_);
    if (question == "deliveries") return list_deliveries(parameters, deliveries_);
    return std::nullopt;
}

}  // namespace
}  // namespace millrace::notification

MILLRACE_PLUGIN(millrace::notification::Notification)
