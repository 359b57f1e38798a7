// What can be said about a question to a handler before its shards are asked.
//
// Pure function; any thread. Errors: kNotFound for a question the handler does not have, kInvalid
// for a parameter that the question does not have or that is given twice, with those it has.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/handler.hpp"

namespace millrace::engine {

Result<void> check_question(const HandlerTraits& traits, std::string_view handler,
                            std::string_view question,
                            std::span<const std::pair<std::string, std::string>> parameters);

}  // namespace millrace::engine
