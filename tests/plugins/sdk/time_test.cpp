#include <gtest/gtest.h>

#include <millrace/time.hpp>

namespace millrace {
namespace {

TEST(Time, every_spelling_of_one_moment_reads_the_same) {
    for (const char* text : {"2026-02-10T08:00:00Z", "2026-02-10T08:00Z", "2026-02-10 08:00:00",
                             "2026-02-10T09:30:00+01:30", "2026-02-10T06:00:00-0200",
                             "2026-02-10t08:00:00.000z", "2026-02-10T10:00:00+02"}) {
        const auto time = parse_time(text);
        ASSERT_TRUE(time) << text;
        EXPECT_EQ(format_time(*time), "2026-02-10T08:00:00Z") << text;
    }
    EXPECT_EQ(format_time(parse_time("2026-02-10").value()), "2026-02-10T00:00:00Z");
}

TEST(Time, fractions_keep_microseconds_and_no_zeros) {
    EXPECT_EQ(format_time(parse_time("2026-02-10T08:00:00.5000001Z").value()),
              "2026-02-10T08:00:00.5Z");
    EXPECT_EQ(format_time(parse_time("1969-12-31T23:59:59.999999Z").value()),
              "1969-12-31T23:59:59.999999Z");
}

TEST(Time, what_is_no_time_is_refused) {
    for (const char* text :
         {"", "2026", "2026-13-01", "2026-02-30", "2026-02-10T24:00:00Z", "2026-02-10T08",
          "2026-02-10T08:00:00X", "2026-02-10T08:00:00+1", "tomorrow", "2026-02-10T08:00:00Zx",
          "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:60Z"}) {
        EXPECT_FALSE(parse_time(text)) << text;
    }
}

}  // namespace
}  // namespace millrace
