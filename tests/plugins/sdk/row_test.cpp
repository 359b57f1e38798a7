#include <gtest/gtest.h>

#include <cstdint>
#include <millrace/row.hpp>
#include <vector>

namespace millrace {
namespace {

const std::vector<millrace_value> kColumns = {to_value("7"), to_value(300), to_value(2.5),
                                              to_value(nullptr)};

std::string fault_of(auto&& read) {
    try {
        read(Row(kColumns));
        return "read";
    } catch (const ColumnError& error) {
        return error.what();
    }
}

TEST(Row, columns_are_bound_to_names_of_their_type) {
    const auto [user, times, share, note] =
        Row(kColumns).as<std::string_view, std::int64_t, double, std::optional<std::string>>();
    EXPECT_EQ(user, "7");
    EXPECT_EQ(times, 300);
    EXPECT_EQ(share, 2.5);
    EXPECT_EQ(note, std::nullopt);
}

TEST(Row, a_column_is_read_as_what_can_hold_it) {
    const Row row(kColumns);
    EXPECT_EQ(row.get<double>(1), 300.0);
    EXPECT_EQ(row.get<bool>(1), true);
    EXPECT_EQ(row.get<Time>(1), from_microseconds(300));
    EXPECT_EQ(row.get<std::optional<std::uint16_t>>(1), 300);
}

TEST(Row, a_column_of_another_type_is_refused_and_not_read_as_zero) {
    EXPECT_EQ(fault_of([](const Row& row) { row.get<std::int64_t>(0); }),
              "column 0 is a text, expected an integer");
    EXPECT_EQ(fault_of([](const Row& row) { row.get<std::string>(3); }),
              "column 3 is NULL, expected a text");
    EXPECT_EQ(fault_of([](const Row& row) { row.get<std::int64_t>(2); }),
              "column 2 is a real, expected an integer");
    EXPECT_EQ(fault_of([](const Row& row) { row.get<std::uint8_t>(1); }),
              "column 1 is 300, which its type cannot hold");
    EXPECT_EQ(fault_of([](const Row& row) { row.get<double>(4); }),
              "the row has 4 columns, column 4 was asked for");
    EXPECT_EQ(fault_of([](const Row& row) { row.as<std::string>(); }),
              "the row has 4 columns, 1 were asked for");
}

}  // namespace
}  // namespace millrace
