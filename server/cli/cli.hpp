// The command line: `millrace serve | check | publish | tail | query | topics | handlers | dlq |
// plugin | version`.
#pragma once

namespace millrace::cli {

// Returns the exit code: 0 done, 1 it failed, 2 wrong usage or configuration. Blocks until the
// command (or the server) ended.
int run(int argc, char** argv);

}  // namespace millrace::cli
