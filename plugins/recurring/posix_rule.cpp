#include "posix_rule.hpp"

namespace millrace::recurring {

using std::chrono::seconds;

// Reads a footer from the front; every step says whether it fitted.
class FooterParser {
public:
    explicit FooterParser(std::string_view text) : rest_(text) {}

    bool parse(PosixRule& rule) {
        if (!name() || !clock(rule.standard_)) return false;
        rule.standard_ = -rule.standard_;
        if (rest_.empty()) return true;
        if (!name()) return false;
        rule.saving_ = rule.standard_ + std::chrono::hours{1};
        if (!rest_.starts_with(',')) {
            if (!clock(rule.saving_)) return false;
            rule.saving_ = -rule.saving_;
        }
        PosixRule::Change start;
        PosixRule::Change end;
        if (!change(start) || !change(end) || !rest_.empty()) return false;
        rule.start_ = start;
        rule.end_ = end;
        return true;
    }

private:
    bool mark(char wanted) {
        if (!rest_.starts_with(wanted)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    bool name() {
        std::size_t size = 0;
        if (mark('<')) {
            size = rest_.find('>');
            if (size == std::string_view::npos) return false;
            ++size;
        } else {
            while (size < rest_.size() &&
                   ((rest_[size] | 0x20) >= 'a' && (rest_[size] | 0x20) <= 'z'))
                ++size;
        }
        rest_.remove_prefix(size);
        return size >= 3;
    }

    bool number(unsigned& value) {
        std::size_t size = 0;
        value = 0;
        for (; size < rest_.size() && size < 3 && rest_[size] >= '0' && rest_[size] <= '9';
             ++size) {
            value = value * 10 + static_cast<unsigned>(rest_[size] - '0');
        }
        rest_.remove_prefix(size);
        return size > 0;
    }

    // [+-]hours[:minutes[:seconds]]
    bool clock(seconds& time) {
        const bool negative = mark('-');
        if (!negative) mark('+');
        unsigned hours = 0;
        unsigned minutes = 0;
        unsigned rest = 0;
        if (!number(hours)) return false;
        if (mark(':') && !number(minutes)) return false;
        if (mark(':') && !number(rest)) return false;
        time = seconds{hours * 3600L + minutes * 60L + rest} * (negative ? -1 : 1);
        return true;
    }

    // ,Mmonth.week.day[/time]
    bool change(PosixRule::Change& change) {
        unsigned month = 0;
        unsigned weekday = 0;
        if (!mark(',') || !mark('M') || !number(month) || !mark('.') || !number(change.week) ||
            !mark('.') || !number(weekday)) {
            return false;
        }
        change.month = date::month{month};
        change.weekday = date::weekday{weekday};
        if (mark('/') && !clock(change.time)) return false;
        return change.month.ok() && change.week >= 1 && change.week <= 5 && weekday <= 6;
    }

    std::string_view rest_;
};

std::optional<PosixRule> PosixRule::parse(std::string_view footer) {
    PosixRule rule;
    return FooterParser(footer).parse(rule) ? std::optional(rule) : std::nullopt;
}

date::local_seconds PosixRule::Change::in(date::year year) const {
    const date::local_days day = week == 5 ? date::local_days{year / month / weekday[date::last]}
                                           : date::local_days{year / month / weekday[week]};
    return day + time;
}

seconds PosixRule::offset(date::sys_seconds time) const {
    if (!start_ || !end_) return standard_;
    const auto local_day = date::floor<date::days>(time + standard_);
    const date::year year = date::year_month_day{local_day}.year();
    const date::sys_seconds start{start_->in(year).time_since_epoch() - standard_};
    const date::sys_seconds end{end_->in(year).time_since_epoch() - saving_};
    const bool saving = start <= end ? start <= time && time < end : time >= start || time < end;
    return saving ? saving_ : standard_;
}

}  // namespace millrace::recurring
