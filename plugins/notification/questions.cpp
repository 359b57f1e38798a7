#include "questions.hpp"

#include <utility>

namespace millrace::notification {
namespace {

std::string readable_id(const Reminder& reminder) {
    return reminder.task + "@" + format_time(from_microseconds(reminder.wanted));
}

}  // namespace

std::string list_timers(const Parameters& parameters, const ReminderTable& reminders, Time from) {
    const auto limit = parameters.integer("limit", 1, kMaxItems).value_or(kDefaultItems);
    Json items = Json::array();
    reminders.each_waiting(
        parameters.text("user"), from, limit, [&items](const Reminder& reminder) {
            items.push_back(Json::object({{"id", readable_id(reminder)},
                                          {"user_id", reminder.user},
                                          {"task_id", reminder.task},
                                          {"title", reminder.title},
                                          {"due", format_time(from_microseconds(reminder.wanted))},
                                          {"due_at", time_or_null(reminder.due)},
                                          {"remind_at", time_or_null(reminder.remind_at)}}));
        });
    return Json::object({{"items", std::move(items)}}).dump();
}

std::string list_deliveries(const Parameters& parameters, const DeliveryTable& deliveries) {
    const auto limit = parameters.integer("limit", 1, kMaxItems).value_or(kDefaultItems);
    Json items = Json::array();
    deliveries.each(parameters.text("user"), limit, [&items](const Delivery& delivery) {
        const Reminder& reminder = delivery.reminder;
        items.push_back(Json::object({{"id", readable_id(reminder)},
                                      {"user_id", reminder.user},
                                      {"task_id", reminder.task},
                                      {"title", reminder.title},
                                      {"due", format_time(from_microseconds(reminder.wanted))},
                                      {"at", format_time(from_microseconds(delivery.at))},
                                      {"tries", delivery.tries},
                                      {"outcome", to_text(delivery.outcome)},
                                      {"lateness", delivery.lateness_seconds()},
                                      {"status", delivery.status},
                                      {"detail", delivery.detail}}));
    });
    return Json::object({{"items", std::move(items)}}).dump();
}

}  // namespace millrace::notification
