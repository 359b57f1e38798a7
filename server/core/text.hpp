// Text that came from outside, made safe for a line of a log or a JSON string.
//
// Pure functions; any thread. They cannot fail: bytes that are not UTF-8 become U+FFFD.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

// One line: control characters become \n, \t, \r or \x1b, so that a message can neither forge a
// line nor drive a terminal.
std::string escape_line(std::string_view text);

// The inside of a JSON string, without the quotes. RFC 8259.
std::string escape_json(std::string_view text);

}  // namespace millrace
