#include "rule.hpp"

#include <gtest/gtest.h>

#include <millrace/time.hpp>

#include "occurrences.hpp"

namespace millrace::recurring {
namespace {

std::string walk(std::string_view rule, std::string_view start, int count,
                 std::string_view zone = "UTC") {
    const Reading reading = read_rule(rule);
    if (reading.kind != ReadingKind::kRule) return "refused: " + reading.problem;
    Steps steps;
    Occurrences occurrences(reading.rule, *parse_local(start), *Zone::find(zone), steps);
    std::string result;
    for (int at = 0; at < count; ++at) {
        const auto next = occurrences.next();
        if (!next) return result + "end";
        result += format_utc(next->at.utc) + " ";
    }
    return result;
}

std::string after(std::string_view rule, std::string_view start, std::string_view time,
                  std::string_view zone = "UTC", std::int64_t limit = kMaxSteps) {
    Steps steps(limit);
    Occurrences occurrences(read_rule(rule).rule, *parse_local(start), *Zone::find(zone), steps);
    const auto next = occurrences.next_after(date::floor<std::chrono::seconds>(*parse_time(time)));
    if (!next && steps.spent()) return steps.problem();
    return next ? format_utc(next->at.utc) : "end";
}

std::string problem(std::string_view rule) {
    const Reading reading = read_rule(rule);
    return reading.kind == ReadingKind::kRefused ? reading.problem : "read";
}

TEST(Rule, words_are_read_in_any_case_and_order) {
    for (const char* rule :
         {"weekly", " Weekly ", "WEEK", "every week", "weekly every 1", "every 1 week",
          "FREQ=WEEKLY", "rrule:freq=weekly", "RRULE:FREQ=WEEKLY;"}) {
        EXPECT_EQ(walk(rule, "2026-01-31T09:00", 2), "2026-01-31T09:00:00Z 2026-02-07T09:00:00Z ")
            << rule;
    }
    for (const char* rule :
         {"biweekly", "weekly every 2", "every 2 weeks", "every other week", "fortnightly"}) {
        EXPECT_EQ(walk(rule, "2026-01-31T09:00", 2), "2026-01-31T09:00:00Z 2026-02-14T09:00:00Z ")
            << rule;
    }
    EXPECT_EQ(walk("weekdays", "2026-01-30", 3),
              "2026-01-30T00:00:00Z 2026-02-02T00:00:00Z 2026-02-03T00:00:00Z ");
    EXPECT_EQ(walk("every monday", "2026-01-30", 1), "2026-02-02T00:00:00Z ");
    EXPECT_EQ(walk("quarterly", "2026-01-31", 2), "2026-01-31T00:00:00Z 2026-04-30T00:00:00Z ");
}

TEST(Rule, a_separate_interval_counts_where_the_text_has_none) {
    EXPECT_EQ(read_rule("daily", 3).rule.interval, 3);
    EXPECT_EQ(read_rule("biweekly", 2).rule.interval, 4);
    EXPECT_EQ(read_rule("FREQ=DAILY", 3).rule.interval, 3);
    EXPECT_EQ(read_rule("FREQ=DAILY;INTERVAL=2", 3).rule.interval, 2);
    EXPECT_EQ(read_rule("every 2 days", 5).rule.interval, 2);
    EXPECT_EQ(read_rule("daily", 0).kind, ReadingKind::kRefused);
    EXPECT_EQ(read_rule("daily", -1).kind, ReadingKind::kRefused);
}

TEST(Rule, what_recurs_never_or_elsewhere_is_no_fault) {
    for (const char* rule : {"", "none", " None", "never", "null"}) {
        EXPECT_EQ(read_rule(rule).kind, ReadingKind::kNothing) << rule;
    }
    EXPECT_EQ(read_rule("Custom").kind, ReadingKind::kCustom);
}

TEST(Rule, what_is_not_understood_is_refused_with_what_and_where) {
    EXPECT_EQ(problem("sometimes"),
              "the word \"sometimes\" in \"sometimes\" is not understood; write daily, weekly, "
              "monthly, yearly or an RRULE");
    EXPECT_EQ(problem("FREQ=WEEKLY;BYDAY=MO,XX"),
              "\"XX\" in BYDAY=MO,XX is not a weekday like MO, 1MO or -1FR");
    EXPECT_EQ(problem("FREQ=MONTHLY;BYMONTHDAY=32"),
              "\"32\" in BYMONTHDAY=32 is not a number from 1 to 31 or its negative");
    EXPECT_EQ(problem("FREQ=SOMETIMES"),
              "FREQ=SOMETIMES is not one of HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY");
    EXPECT_EQ(problem("FREQ=DAILY;BYWEEKNO=3"), "BYWEEKNO is not supported");
    EXPECT_EQ(problem("FREQ=DAILY;FREQ=DAILY"), "FREQ is given twice");
    EXPECT_EQ(problem("FREQ=DAILY;COUNT=2;UNTIL=20270101"),
              "COUNT and UNTIL are both given; only one may be");
    EXPECT_EQ(problem("FREQ=WEEKLY;BYDAY=1MO"), "BYDAY with a number needs FREQ=MONTHLY or YEARLY");
    EXPECT_EQ(problem("FREQ=DAILY;UNTIL=tomorrow"),
              "UNTIL=TOMORROW is not a time like 20261231T235959Z");
    EXPECT_EQ(problem("RRULE:INTERVAL=2"), "FREQ is missing");
}

TEST(Rule, hostile_texts_are_refused) {
    for (const char* rule : {"FREQ=",
                             "FREQ=DAILY;INTERVAL=0",
                             "FREQ=DAILY;INTERVAL=99999999999999",
                             "FREQ=DAILY;COUNT=-1",
                             "FREQ=DAILY;BYMONTH=0",
                             "FREQ=MONTHLY;BYDAY=0MO",
                             "FREQ=MONTHLY;BYDAY=99MO",
                             "FREQ=DAILY;BYDAY=",
                             "FREQ=DAILY;=3",
                             "freq",
                             "DTSTART\nFREQ=DAILY",
                             "DTSTART;TZID=Mars/Phobos:20260101T000000\nRRULE:FREQ=DAILY",
                             "FREQ=DAILY\nEXDATE:20260101T000000Z",
                             "every",
                             "2",
                             "every 99999999999 days",
                             "daily weekly",
                             "FREQ=DAILY;BYSETPOS=1",
                             "FREQ=MONTHLY;BYMONTHDAY=--1",
                             "FREQ=MONTHLY;BYMONTHDAY=-2147483648",
                             "FREQ=MONTHLY;BYDAY=-2147483648MO"}) {
        EXPECT_EQ(read_rule(rule).kind, ReadingKind::kRefused) << rule;
    }
    EXPECT_EQ(read_rule(std::string(5'000, 'x')).kind, ReadingKind::kRefused);
}

std::string first_numbers(int count) {
    std::string list = "0";
    for (int number = 1; number < count; ++number) list += "," + std::to_string(number);
    return list;
}

TEST(Rule, a_day_has_so_many_times_and_not_more) {
    const std::string hours = "FREQ=YEARLY;BYDAY=MO;BYHOUR=" + first_numbers(24);
    EXPECT_EQ(read_rule(hours + ";BYMINUTE=" + first_numbers(12)).kind, ReadingKind::kRule);
    EXPECT_EQ(problem(hours + ";BYMINUTE=" + first_numbers(13)),
              "BYHOUR, BYMINUTE and BYSECOND together mean more than 288 times a day");
    EXPECT_EQ(read_rule("FREQ=DAILY;BYHOUR=9,9,9,17").rule.by_hour, (std::vector{9, 17}));
}

TEST(Rule, a_dtstart_line_gives_the_start_and_the_zone) {
    const Reading reading =
        read_rule("DTSTART;TZID=Europe/Paris:20260131T090000\nRRULE:FREQ=MONTHLY;BYMONTHDAY=31");
    ASSERT_EQ(reading.kind, ReadingKind::kRule) << reading.problem;
    EXPECT_EQ(format_local(*reading.rule.start), "2026-01-31T09:00:00");
    EXPECT_EQ(reading.rule.start_zone, "Europe/Paris");
    EXPECT_EQ(read_rule("DTSTART:20260131T090000Z\nFREQ=DAILY").rule.start_zone, "UTC");
}

TEST(Occurrences, words_take_the_last_day_of_a_shorter_month_and_remember_the_anchors) {
    EXPECT_EQ(
        walk("monthly", "2026-01-31T09:00", 4),
        "2026-01-31T09:00:00Z 2026-02-28T09:00:00Z 2026-03-31T09:00:00Z 2026-04-30T09:00:00Z ");
    EXPECT_EQ(after("monthly", "2026-01-31T09:00", "2028-02-01T00:00:00Z"), "2028-02-29T09:00:00Z");
    EXPECT_EQ(walk("yearly", "2024-02-29", 5),
              "2024-02-29T00:00:00Z 2025-02-28T00:00:00Z 2026-02-28T00:00:00Z 2027-02-28T00:00:00Z "
              "2028-02-29T00:00:00Z ");
}

TEST(Occurrences, an_rrule_skips_months_without_the_day) {
    EXPECT_EQ(walk("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31", 3),
              "2026-01-31T00:00:00Z 2026-03-31T00:00:00Z 2026-05-31T00:00:00Z ");
    EXPECT_EQ(walk("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-01-31", 2),
              "2026-01-31T00:00:00Z 2026-02-28T00:00:00Z ");
    EXPECT_EQ(walk("FREQ=YEARLY", "2024-02-29", 2), "2024-02-29T00:00:00Z 2028-02-29T00:00:00Z ");
}

TEST(Occurrences, the_wall_clock_stays_when_the_offset_changes) {
    EXPECT_EQ(walk("daily", "2026-03-28T09:00", 3, "Europe/Paris"),
              "2026-03-28T08:00:00Z 2026-03-29T07:00:00Z 2026-03-30T07:00:00Z ");
}

TEST(Occurrences, a_time_that_the_clocks_skip_moves_forward_by_the_gap_for_that_day_only) {
    EXPECT_EQ(walk("daily", "2026-03-28T02:30", 3, "Europe/Paris"),
              "2026-03-28T01:30:00Z 2026-03-29T01:30:00Z 2026-03-30T00:30:00Z ");
    EXPECT_EQ(
        format_local(
            Zone::find("Australia/Lord_Howe")->from_local(*parse_local("2026-10-04T02:10")).local),
        "2026-10-04T02:40:00");
}

TEST(Occurrences, of_a_time_that_comes_twice_the_first_is_meant) {
    EXPECT_EQ(walk("daily", "2026-10-24T02:30", 3, "Europe/Paris"),
              "2026-10-24T00:30:00Z 2026-10-25T00:30:00Z 2026-10-26T01:30:00Z ");
    EXPECT_EQ(Zone::find("Europe/Paris")->from_local(*parse_local("2026-10-25T02:30")).fit,
              LocalFit::kOverlap);
    EXPECT_EQ(Zone::find("Europe/Dublin")->from_local(*parse_local("2045-10-29T01:30")).fit,
              LocalFit::kOverlap);
}

TEST(Occurrences, daylight_saving_goes_on_after_the_last_year_of_the_zone_file) {
    EXPECT_EQ(walk("FREQ=MONTHLY;INTERVAL=6", "2045-01-15T09:00", 2, "Europe/Paris"),
              "2045-01-15T08:00:00Z 2045-07-15T07:00:00Z ");
    EXPECT_EQ(walk("FREQ=MONTHLY;INTERVAL=6", "2045-01-15T09:00", 2, "America/Sao_Paulo"),
              "2045-01-15T12:00:00Z 2045-07-15T12:00:00Z ");
}

TEST(Occurrences, hours_pass_evenly_over_a_change_of_the_clocks) {
    EXPECT_EQ(walk("every 2 hours", "2026-03-29T00:30", 3, "Europe/Paris"),
              "2026-03-28T23:30:00Z 2026-03-29T01:30:00Z 2026-03-29T03:30:00Z ");
}

TEST(Occurrences, a_series_ends_at_its_count_or_until) {
    EXPECT_EQ(walk("FREQ=DAILY;COUNT=2", "2026-01-01", 9),
              "2026-01-01T00:00:00Z 2026-01-02T00:00:00Z end");
    EXPECT_EQ(walk("FREQ=DAILY;UNTIL=20260102T090000Z", "2026-01-01T09:00", 9),
              "2026-01-01T09:00:00Z 2026-01-02T09:00:00Z end");
    EXPECT_EQ(walk("FREQ=DAILY;UNTIL=20260102", "2026-01-01T09:00", 9),
              "2026-01-01T09:00:00Z 2026-01-02T09:00:00Z end");
    EXPECT_EQ(after("FREQ=DAILY;COUNT=3", "2026-01-01", "2026-01-03T00:00:00Z"), "end");
}

TEST(Occurrences, a_rule_that_matches_nothing_ends) {
    EXPECT_EQ(walk("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "2026-01-01", 1), "end");
    EXPECT_EQ(walk("FREQ=YEARLY;INTERVAL=10000", "2026-01-01", 2), "2026-01-01T00:00:00Z end");
    EXPECT_EQ(walk("every 10000 months", "9990-01-01", 2), "9990-01-01T00:00:00Z end");
}

TEST(Occurrences, the_phase_of_an_interval_is_kept_over_a_long_jump) {
    EXPECT_EQ(after("every 2 weeks", "2020-01-06", "2026-06-01T00:00:00Z"), "2026-06-15T00:00:00Z");
    EXPECT_EQ(
        after("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO", "1997-08-05", "1997-08-10T00:00:00Z"),
        "1997-08-19T00:00:00Z");
    EXPECT_EQ(
        after("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", "1997-08-05", "1997-08-10T00:00:00Z"),
        "1997-08-17T00:00:00Z");
    EXPECT_EQ(after("hourly", "1971-01-01", "2026-06-01T00:30:00Z"), "2026-06-01T01:00:00Z");
}

TEST(Occurrences, a_count_is_counted_and_not_walked) {
    EXPECT_EQ(after("FREQ=DAILY;COUNT=100000", "1900-01-01T09:00", "2026-06-01T12:00:00Z"),
              "2026-06-02T09:00:00Z");
    EXPECT_EQ(after("FREQ=HOURLY;COUNT=100000", "2020-01-01", "2026-06-01T00:30:00Z"),
              "2026-06-01T01:00:00Z");
    EXPECT_EQ(after("FREQ=HOURLY;COUNT=50000", "2020-01-01", "2026-06-01T00:30:00Z"), "end");
    EXPECT_EQ(after("FREQ=DAILY;BYHOUR=8,9;COUNT=5", "2026-01-01T08:00", "2026-01-03T08:00:00Z"),
              "end");
    EXPECT_EQ(after("FREQ=DAILY;BYHOUR=8,9;COUNT=6", "2026-01-01T08:00", "2026-01-03T08:00:00Z"),
              "2026-01-03T09:00:00Z");
    EXPECT_EQ(after("FREQ=DAILY;BYHOUR=8,9;COUNT=5", "2026-01-01T09:00", "2026-01-03T08:00:00Z"),
              "2026-01-03T09:00:00Z")
        << "what lies before the anchor does not count";
}

TEST(Occurrences, a_jump_stops_before_a_time_that_the_clocks_move) {
    EXPECT_EQ(after("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30", "2020-01-01", "2026-03-29T01:10:00Z",
                    "Europe/Paris"),
              "2026-03-29T01:30:00Z");
}

TEST(Occurrences, the_steps_of_a_walk_are_bounded_whatever_the_rule) {
    for (const char* rule : {"FREQ=DAILY;COUNT=100000;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
                             "FREQ=YEARLY;COUNT=100000;BYDAY=MO;BYSETPOS=300",
                             "FREQ=MONTHLY;COUNT=100000;BYDAY=FR;BYMONTHDAY=13"}) {
        EXPECT_EQ(after(rule, "0001-01-01", "9000-01-01T00:00:00Z", "UTC", 10'000),
                  "finding the occurrence takes more than 10000 steps (config.max_steps)")
            << rule;
    }
}

TEST(Rule, a_list_that_repeats_itself_costs_no_more_than_its_values) {
    std::string rule = "FREQ=DAILY;BYMONTH=12;BYSETPOS=1";
    for (int times = 0; times < 1'200; ++times) rule += ",1";
    EXPECT_EQ(after(rule, "2026-01-01T09:00", "2026-06-01T00:00:00Z", "UTC", 1'000),
              "2026-12-01T09:00:00Z");
}

}  // namespace
}  // namespace millrace::recurring
