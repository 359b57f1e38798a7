// PosixRule: daylight saving by a rule that repeats every year, as in the footer of a time zone
// file (RFC 8536, 3.3: "CET-1CEST,M3.5.0,M10.5.0/3"), for the years after the file's last
// transition.
//
// A plain value; any thread. A footer that is not understood gives nullopt; dates are of the form M
// (month.week.day), the only one that the time zone database uses in footers today.
#pragma once

#include <date/date.h>

#include <optional>
#include <string_view>

namespace millrace::recurring {

class PosixRule {
public:
    static std::optional<PosixRule> parse(std::string_view footer);

    std::chrono::seconds offset(date::sys_seconds time) const;

private:
    friend class FooterParser;
    // The moment of a change on the clocks before it.
    struct Change {
        date::month month{1};
        unsigned week = 1;  // 5: the last
        date::weekday weekday;
        std::chrono::seconds time = std::chrono::hours{2};
        date::local_seconds in(date::year year) const;
    };

    std::chrono::seconds standard_{0};
    std::chrono::seconds saving_{0};  // offset while `start_` to `end_`
    std::optional<Change> start_;
    std::optional<Change> end_;
};

}  // namespace millrace::recurring
