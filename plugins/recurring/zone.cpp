#include "zone.hpp"

#include <date/tz.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <millrace/time.hpp>
#include <utility>

#include "posix_rule.hpp"

namespace millrace::recurring {
namespace {

constexpr std::size_t kMaxZoneName = 64;
constexpr const char* kZoneInfo = "/usr/share/zoneinfo";
constexpr date::year kFarYear{9999};

// The POSIX rule on the file's last line ("CET-1CEST,M3.5.0,M10.5.0/3"). nullopt: the file has
// none.
std::optional<PosixRule> read_footer(std::string_view zone) {
    const char* directory = std::getenv("TZDIR");
    std::ifstream file(std::string(directory ? directory : kZoneInfo) + "/" + std::string(zone),
                       std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.size() < 2 || bytes.back() != '\n') return std::nullopt;
    const std::size_t before = bytes.rfind('\n', bytes.size() - 2);
    if (before == std::string::npos || before + 2 >= bytes.size()) return std::nullopt;
    return PosixRule::parse(std::string_view(bytes).substr(before + 1, bytes.size() - before - 2));
}

}  // namespace

struct Zone::Rules {
    const date::time_zone* zone;
    UtcTime last_transition;
    std::optional<PosixRule> afterwards;

    std::chrono::seconds offset(UtcTime time) const {
        return afterwards && time >= last_transition ? afterwards->offset(time)
                                                     : zone->get_info(time).offset;
    }
};

Zone::Zone(std::string name, std::shared_ptr<const Rules> rules)
    : name_(std::move(name)), rules_(std::move(rules)) {}

Zone Zone::utc() { return Zone("UTC", nullptr); }

std::optional<Zone> Zone::find(std::string_view name) {
    if (name.empty() || name == "UTC" || name == "Z") return utc();
    if (name.size() > kMaxZoneName) return std::nullopt;
    try {
        const date::time_zone* zone = date::locate_zone(std::string(name));
        const UtcTime last_transition =
            zone->get_info(UtcTime{date::sys_days{kFarYear / 1 / 1}}).begin;
        return Zone(std::string(name),
                    std::make_shared<const Rules>(Rules{zone, last_transition, read_footer(name)}));
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

// The clocks of a day before and of a day after bound what a local time can mean: if both readings
// hold it comes twice, if none does it is skipped.
ZonedTime Zone::from_local(LocalTime local) const {
    const UtcTime naive{local.time_since_epoch()};
    if (rules_ == nullptr) return {naive, local, LocalFit::kUnique};
    const std::chrono::seconds before = rules_->offset(naive - date::days{1});
    const std::chrono::seconds after = rules_->offset(naive + date::days{1});
    const bool before_holds = rules_->offset(naive - before) == before;
    const bool after_holds = rules_->offset(naive - after) == after;
    const UtcTime utc = naive - (before_holds || !after_holds ? before : after);
    LocalFit fit = LocalFit::kUnique;
    if (!before_holds && !after_holds) fit = LocalFit::kGap;
    if (before_holds && after_holds && before != after) fit = LocalFit::kOverlap;
    return {utc, to_local(utc), fit};
}

LocalTime Zone::to_local(UtcTime time) const {
    if (rules_ == nullptr) return LocalTime{time.time_since_epoch()};
    return LocalTime{time.time_since_epoch() + rules_->offset(time)};
}

std::optional<LocalTime> parse_local(std::string_view text) {
    constexpr std::size_t kDateSize = 10;
    const std::string_view clock = text.substr(std::min(text.size(), kDateSize));
    if (clock.find_first_of("Zz+-") != std::string_view::npos) return std::nullopt;
    const auto time = parse_time(text);
    if (!time) return std::nullopt;
    return LocalTime{date::floor<std::chrono::seconds>(*time).time_since_epoch()};
}

std::string format_local(LocalTime time) { return date::format("%FT%T", time); }

std::string format_utc(UtcTime time) { return format_time(time); }

}  // namespace millrace::recurring
