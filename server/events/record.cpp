#include "events/record.hpp"

#include <algorithm>
#include <ranges>

namespace millrace {

std::string_view Record::header(std::string_view name) const {
    const auto reversed = headers | std::views::reverse;
    const auto found = std::ranges::find(reversed, name, &Header::name);
    return found == reversed.end() ? std::string_view{} : found->value;
}

}  // namespace millrace
