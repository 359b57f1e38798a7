#include "delivery_table.hpp"

#include <algorithm>

namespace millrace::notification {
namespace {

constexpr std::int64_t kAddedPerPruning = 100;
constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;

#define MILLRACE_DELIVERY_COLUMNS \
    "user, task, at, outcome, tries, status, detail, wanted, remind_at, due, title, event_id"

std::optional<std::string> text(const Row& row, std::size_t column) {
    const auto view = row.optional_text(column);
    return view ? std::optional<std::string>(*view) : std::nullopt;
}

Delivery read_delivery(const Row& row) {
    return {.reminder = {.user = std::string(row.text(0)),
                         .task = std::string(row.text(1)),
                         .name = {},
                         .time = 0,
                         .wanted = row.integer(7),
                         .remind_at = row.optional_integer(8),
                         .due = row.optional_integer(9),
                         .title = text(row, 10),
                         .event_id = std::string(row.text(11))},
            .at = row.integer(2),
            .outcome = static_cast<DeliveryOutcome>(row.integer(3)),
            .tries = row.integer(4),
            .status = row.integer(5),
            .detail = std::string(row.text(6))};
}

}  // namespace

std::string_view to_text(DeliveryOutcome outcome) {
    switch (outcome) {
        case DeliveryOutcome::kSending:
            return "sending";
        case DeliveryOutcome::kDelivered:
            return "delivered";
        case DeliveryOutcome::kFailed:
            return "failed";
        case DeliveryOutcome::kExpired:
            return "expired";
    }
    return "unknown";
}

std::int64_t Delivery::lateness_seconds() const {
    return std::max<std::int64_t>(0, at - reminder.wanted) / kMicrosecondsPerSecond;
}

void DeliveryTable::create(Context& context) {
    context.exec(
        "CREATE TABLE deliveries(user TEXT NOT NULL, task TEXT NOT NULL, moment TEXT NOT NULL, at "
        "INTEGER NOT NULL, "
        "outcome INTEGER NOT NULL, tries INTEGER NOT NULL, status INTEGER NOT NULL, detail TEXT "
        "NOT NULL, "
        "wanted INTEGER NOT NULL, remind_at INTEGER, due INTEGER, title TEXT, event_id TEXT NOT "
        "NULL, "
        "PRIMARY KEY(user, task, moment)) WITHOUT ROWID");
    context.exec("CREATE INDEX deliveries_by_time ON deliveries(at)");
}

bool DeliveryTable::add(const Delivery& delivery) {
    const Reminder& reminder = delivery.reminder;
    const std::int64_t changed = context_.exec(
        "INSERT INTO deliveries(" MILLRACE_DELIVERY_COLUMNS
        ", moment) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO "
        "NOTHING",
        reminder.user, reminder.task, delivery.at, static_cast<int>(delivery.outcome),
        delivery.tries, delivery.status, delivery.detail, reminder.wanted, reminder.remind_at,
        reminder.due, reminder.title, reminder.event_id, reminder.moment());
    if (changed == 0) return false;
    if (++added_ % kAddedPerPruning != 0) return true;
    context_.exec(
        "DELETE FROM deliveries WHERE (user, task, moment) IN (SELECT user, task, moment FROM "
        "deliveries "
        "WHERE outcome <> ?2 ORDER BY at LIMIT max(0, (SELECT count(*) FROM deliveries) - ?1))",
        keep_, static_cast<int>(DeliveryOutcome::kSending));
    return true;
}

bool DeliveryTable::knows(const Reminder& reminder) const {
    return context_
        .integer("SELECT 1 FROM deliveries WHERE user = ?1 AND task = ?2 AND moment = ?3",
                 reminder.user, reminder.task, reminder.moment())
        .has_value();
}

std::optional<Delivery> DeliveryTable::find(std::string_view user, std::string_view task,
                                            std::string_view moment) const {
    std::optional<Delivery> found;
    context_.query(
        "SELECT " MILLRACE_DELIVERY_COLUMNS
        " FROM deliveries WHERE user = ?1 AND task = ?2 AND moment = ?3",
        [&found](const Row& row) { found = read_delivery(row); }, user, task, moment);
    return found;
}

void DeliveryTable::update(const Delivery& delivery, std::string_view moment) {
    context_.exec(
        "UPDATE deliveries SET at = ?4, outcome = ?5, tries = ?6, status = ?7, detail = ?8 "
        "WHERE user = ?1 AND task = ?2 AND moment = ?3",
        delivery.reminder.user, delivery.reminder.task, moment, delivery.at,
        static_cast<int>(delivery.outcome), delivery.tries, delivery.status, delivery.detail);
}

void DeliveryTable::each(std::optional<std::string_view> user, std::int64_t limit,
                         const std::function<void(const Delivery&)>& take) const {
    context_.query(
        "SELECT " MILLRACE_DELIVERY_COLUMNS
        " FROM deliveries WHERE (?1 IS NULL OR user = ?1) ORDER BY at DESC LIMIT ?2",
        [&take](const Row& row) { take(read_delivery(row)); }, user, limit);
}

}  // namespace millrace::notification
