#include "engine/question.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace millrace::engine {
namespace {

std::string listed(const std::vector<std::string>& names) {
    return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Result<void> check_question(const HandlerTraits& traits, std::string_view handler,
                            std::string_view question,
                            std::span<const std::pair<std::string, std::string>> parameters) {
    if (std::ranges::find(traits.questions, question) == traits.questions.end()) {
        return fail(ErrorCode::kNotFound, fmt::format("handler {} has no question '{}'; it has: {}",
                                                      handler, question, listed(traits.questions)));
    }
    const auto known = traits.parameters.find(question);
    if (known == traits.parameters.end()) return {};
    for (auto given = parameters.begin(); given != parameters.end(); ++given) {
        const std::string& name = given->first;
        if (std::ranges::find(known->second, name) == known->second.end()) {
            return fail(ErrorCode::kInvalid,
                        fmt::format("{} {} has no parameter '{}'; it has: {}", handler, question,
                                    name, listed(known->second)));
        }
        const auto is_same = [&name](const auto& other) { return other.first == name; };
        if (std::any_of(parameters.begin(), given, is_same)) {
            return fail(ErrorCode::kInvalid, fmt::format("{} {}: the parameter '{}' is given twice",
                                                         handler, question, name));
        }
    }
    return {};
}

}  // namespace millrace::engine
