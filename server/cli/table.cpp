#include "cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace millrace::cli {

void print_table(const Row& head, const std::vector<Row>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& cell : head) widths.push_back(cell.size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    const auto print = [&](const Row& row) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += fmt::format("{:<{}}", row[i], i + 1 == row.size() ? 0 : widths[i] + 2);
        std::printf("%s\n", line.c_str());
    };
    print(head);
    for (const auto& row : rows) print(row);
}

}  // namespace millrace::cli
