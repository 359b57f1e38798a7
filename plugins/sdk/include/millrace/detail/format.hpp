// FormatString and format: fmt where <fmt/format.h> is there, else std::format, else nothing, and
// then MILLRACE_HAS_FORMAT is not defined and messages are plain texts.
//
// Pure functions; any thread. fmt is used header-only, so a plugin links nothing for it, unless the
// plugin included fmt itself before. Define MILLRACE_NO_FMT to do without.
#pragma once

#if !defined(MILLRACE_NO_FMT) && __has_include(<fmt/format.h>)
#if !defined(FMT_VERSION) && !defined(FMT_HEADER_ONLY)
#define FMT_HEADER_ONLY
#endif
#include <fmt/format.h>
#define MILLRACE_HAS_FORMAT 1
namespace millrace::inline sdk::detail {
template <class... Arguments>
using FormatString = fmt::format_string<Arguments...>;
using fmt::format;
}  // namespace millrace::inline sdk::detail
#elif __has_include(<format>)
#include <format>
#ifdef __cpp_lib_format
#define MILLRACE_HAS_FORMAT 1
namespace millrace::inline sdk::detail {
template <class... Arguments>
using FormatString = std::format_string<Arguments...>;
using std::format;
}  // namespace millrace::inline sdk::detail
#endif
#endif
