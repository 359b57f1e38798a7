#include "core/config/suggestion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace millrace::config {
namespace {

// Levenshtein's, in one row.
std::size_t distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < left.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < right.size(); ++j) {
            const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
            diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
        }
    }
    return row.back();
}

}  // namespace

std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& known) {
    constexpr std::size_t kLongest = 256;
    if (known.empty() || word.size() > kLongest) return std::nullopt;
    const auto nearest = std::ranges::min_element(
        known, {}, [word](const std::string& other) { return distance(word, other); });
    if (distance(word, *nearest) > 1 + word.size() / 4) return std::nullopt;
    return *nearest;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
    if (const auto nearest = nearest_word(word, known))
        return fmt::format("did you mean '{}'?", *nearest);
    if (known.empty()) return "nothing is expected here";
    return fmt::format("expected one of: {}", fmt::join(known, ", "));
}

}  // namespace millrace::config
