// The questions that notification answers: `timers` (what will be delivered) and `deliveries` (what
// was).
//
// Parameters: user (default all), limit. Called from on_query, read-only. Errors: BadParameter, for
// the asker.
#pragma once

#include <millrace/plugin.hpp>
#include <string>

#include "delivery_table.hpp"
#include "reminder_table.hpp"

namespace millrace::notification {

inline constexpr std::int64_t kDefaultItems = 100;
inline constexpr std::int64_t kMaxItems = 1'000;

// In the order of their time; those wanted before `from` would expire rather than be delivered.
std::string list_timers(const Parameters& parameters, const ReminderTable& reminders, Time from);
// Newest first.
std::string list_deliveries(const Parameters& parameters, const DeliveryTable& deliveries);

}  // namespace millrace::notification
