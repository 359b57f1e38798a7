// Answers rules on stdin, for comparison with python-dateutil: a line "ZONE TAB START TAB COUNT TAB
// RULE" gives a line of occurrences in local time, comma-separated, or "refused: why".
#include <iostream>
#include <string>

#include "occurrences.hpp"

namespace {

using namespace millrace::recurring;

std::string next_field(std::string& line) {
    const std::size_t tab = line.find('\t');
    std::string field = line.substr(0, tab);
    line.erase(0, tab == std::string::npos ? tab : tab + 1);
    return field;
}

std::string answer(std::string line) {
    const auto zone = Zone::find(next_field(line));
    const auto start = parse_local(next_field(line));
    const int count = std::stoi(next_field(line));
    const Reading reading = read_rule(line);
    if (!zone || !start) return "refused: zone or start";
    if (reading.kind != ReadingKind::kRule) return "refused: " + reading.problem;
    Steps steps;
    Occurrences walk(reading.rule, *start, *zone, steps);
    std::string result;
    for (int at = 0; at < count; ++at) {
        const auto occurrence = walk.next();
        if (!occurrence) break;
        result += (at == 0 ? "" : ",") + format_utc(occurrence->at.utc);
    }
    return result;
}

}  // namespace

int main() {
    for (std::string line; std::getline(std::cin, line);) std::cout << answer(line) << "\n";
    return 0;
}
