#include "events/time.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

std::string read(std::string_view text) {
    const auto time = parse_time(text);
    return time ? format_time(*time) : "not a time";
}

TEST(time, is_read_in_every_spelling_that_producers_use) {
    EXPECT_EQ(read("2026-11-23T03:20:04.273791+00:00"), "2026-11-23T03:20:04.273791Z");
    EXPECT_EQ(read("2026-11-23T03:20:04.900000Z"), "2026-11-23T03:20:04.9Z");
    EXPECT_EQ(read("2026-02-10T08:00:00.5"), "2026-02-10T08:00:00.5Z");
    EXPECT_EQ(read("2026-02-10T08:00:00.000"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(read("2026-02-10 08:00:00"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(read("2026-02-10t08:00:00z"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(read("2026-02-10T08:00"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(read("2026-02-10T08:00Z"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(read("2026-02-10"), "2026-02-10T00:00:00Z");
}

TEST(time, with_an_offset_is_moved_to_utc) {
    EXPECT_EQ(read("2026-01-01T01:30:00+02:00"), "2025-12-31T23:30:00Z");
    EXPECT_EQ(read("2026-01-01T01:30:00+0530"), "2025-12-31T20:00:00Z");
    EXPECT_EQ(read("2025-12-31T23:30:00-08"), "2026-01-01T07:30:00Z");
}

TEST(time, keeps_microseconds_and_cuts_what_is_finer) {
    EXPECT_EQ(read("2026-01-01T00:00:00.123456789Z"), "2026-01-01T00:00:00.123456Z");
    EXPECT_EQ(read("2026-01-01T00:00:00.0000009Z"), "2026-01-01T00:00:00Z");
    EXPECT_EQ(read("2026-01-01T00:00:00.000001Z"), "2026-01-01T00:00:00.000001Z");
}

TEST(time, knows_leap_days_and_leap_seconds) {
    EXPECT_EQ(read("2028-02-29"), "2028-02-29T00:00:00Z");
    EXPECT_EQ(read("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00Z");
}

TEST(time, that_is_none_is_refused) {
    for (const std::string_view text : {"",
                                        " ",
                                        "now",
                                        "2026",
                                        "2026-2-1",
                                        "2026-02-30",
                                        "2027-02-29",
                                        "2026-13-01",
                                        "2026-01-00",
                                        "2026-01-01T",
                                        "2026-01-01T24:00:00",
                                        "2026-01-01T23:60:00",
                                        "2026-01-01T23:00:61",
                                        "2026-01-01T23:00:00.",
                                        "2026-01-01T23:00:00+2",
                                        "2026-01-01T23:00:00+24:00",
                                        "2026-01-01T23:00:00Zx",
                                        "2026-01-01T23:00:00Z ",
                                        " 2026-01-01",
                                        "1767225600",
                                        "+2026-01-01",
                                        "0000-01-01T00:00:00+01:00",
                                        "9999-12-31T23:59:59-01:00"}) {
        EXPECT_FALSE(parse_time(text)) << text;
    }
}

TEST(time, survives_the_way_to_milliseconds_and_back_also_before_1970) {
    const Timestamp time = *parse_time("1969-12-31T23:59:59.999Z");
    EXPECT_EQ(to_epoch_ms(time), -1);
    EXPECT_EQ(from_epoch_ms(-1), time);
    EXPECT_EQ(to_epoch_ms(*parse_time("1969-12-31T23:59:59.9995Z")), -1);
    EXPECT_EQ(format_time(from_epoch_ms(0)), "1970-01-01T00:00:00Z");
}

}  // namespace
}  // namespace millrace
