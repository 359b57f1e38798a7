// The question `events`: rows of the log, newest first, filtered, a page at a time.
//
// `ask` answers for one shard: up to one row more than the page has, so that `merge` can tell
// whether there is a next page. Errors: BadParameter.
#pragma once

#include <millrace/plugin.hpp>
#include <span>
#include <string>
#include <string_view>

#include "position.hpp"

namespace audit {

inline constexpr std::int64_t kUsualPage = 50;
inline constexpr std::int64_t kLargestPage = 1'000;

std::string ask_events(millrace::Context& context, const Partition& shard,
                       const millrace::Parameters& parameters);
std::string merge_events(const millrace::Parameters& parameters,
                         std::span<const std::string_view> answers);

}  // namespace audit
