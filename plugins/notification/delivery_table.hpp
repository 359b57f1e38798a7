// DeliveryTable: what was delivered, when, how often tried and with which outcome; and the proof
// that a reminder went out once: (user, task, moment) is the key.
//
// The newest `keep` are kept, and all that are on their way. Used inside callbacks of the shard's
// instance only. Errors: ServiceError.
#pragma once

#include <cstdint>
#include <functional>
#include <millrace/plugin.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "reminder.hpp"

namespace millrace::notification {

enum class DeliveryOutcome {
    kSending = 1,  // the webhook has not answered for good yet
    kDelivered,
    kFailed,  // the webhook refused it, or was away for too long
    kExpired  // too late when it was read: not sent
};

std::string_view to_text(DeliveryOutcome outcome);

struct Delivery {
    Reminder reminder;
    std::int64_t at = 0;  // of the last change, microseconds
    DeliveryOutcome outcome = DeliveryOutcome::kSending;
    std::int64_t tries = 0;
    std::int64_t status = 0;  // of HTTP
    std::string detail = {};  // why it failed

    std::int64_t lateness_seconds() const;
};

class DeliveryTable {
public:
    static void create(Context& context);

    DeliveryTable(Context& context, std::int64_t keep) : context_(context), keep_(keep) {}

    // False: this reminder was delivered before, nothing is written.
    bool add(const Delivery& delivery);
    bool knows(const Reminder& reminder) const;
    std::optional<Delivery> find(std::string_view user, std::string_view task,
                                 std::string_view moment) const;
    void update(const Delivery& delivery, std::string_view moment);
    // Newest first.
    void each(std::optional<std::string_view> user, std::int64_t limit,
              const std::function<void(const Delivery&)>& take) const;

private:
    Context context_;
    std::int64_t keep_;
    std::int64_t added_ = 0;
};

}  // namespace millrace::notification
