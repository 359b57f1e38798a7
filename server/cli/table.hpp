// Tables for people on a terminal. One thread.
#pragma once

#include <string>
#include <vector>

namespace millrace::cli {

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; the last one is not filled up.
void print_table(const Row& head, const std::vector<Row>& rows);

}  // namespace millrace::cli
