// Zone: a time zone by its IANA name ("Europe/Paris"), and the way from local time to UTC and back.
//
// A value that points into the process-wide time zone database; any thread. A name that is not
// known gives nullopt; what a local time that does not exist or comes twice means is told by
// `ZonedTime`. Rules: RFC 5545, 3.3.5 (a time in a gap takes the offset before the gap, so it moves
// forward by the gap's length; of a time that comes twice the first is meant), and RFC 8536, 3.3
// (after the file's last transition, 2037 in most, the POSIX rule in its footer goes on).
#pragma once

#include <date/date.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::recurring {

using LocalTime = date::local_seconds;
using UtcTime = date::sys_seconds;

enum class LocalFit {
    kUnique = 1,  // exactly one instant has this local time
    kGap,         // no instant has it: the clocks went forward over it
    kOverlap      // two instants have it: the clocks went back over it
};

struct ZonedTime {
    UtcTime utc;
    LocalTime local;  // what the clocks show at `utc`: in a gap later than what was asked for
    LocalFit fit = LocalFit::kUnique;
};

class Zone {
public:
    static std::optional<Zone> find(std::string_view name);
    static Zone utc();

    ZonedTime from_local(LocalTime local) const;
    LocalTime to_local(UtcTime time) const;
    const std::string& name() const { return name_; }

private:
    struct Rules;
    Zone(std::string name, std::shared_ptr<const Rules> rules);

    std::string name_;
    std::shared_ptr<const Rules> rules_;  // nullptr: UTC, which needs no database
};

// "2026-03-29T02:30:00", "2026-03-29 02:30", "2026-03-29" (midnight). With an offset or a Z it is
// no local time: nullopt.
std::optional<LocalTime> parse_local(std::string_view text);
std::string format_local(LocalTime time);

std::string format_utc(UtcTime time);

}  // namespace millrace::recurring
