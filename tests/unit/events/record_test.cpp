#include "events/record.hpp"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(record, gives_the_last_header_of_a_name_and_nothing_for_an_unknown_one) {
    const Header headers[] = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
    Record record;
    record.headers = headers;
    EXPECT_EQ(record.header("a"), "3");
    EXPECT_EQ(record.header("b"), "2");
    EXPECT_EQ(record.header("A"), "");
}

}  // namespace
}  // namespace millrace
