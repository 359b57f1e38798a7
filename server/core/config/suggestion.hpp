// Suggestion: which of the known words somebody meant.
//
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::config {

// The nearest by edit distance, if it is near enough to be a slip.
std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& known);

// "did you mean 'http'?", else "expected one of: admin, http".
std::string suggestion(std::string_view word, const std::vector<std::string>& known);

}  // namespace millrace::config
