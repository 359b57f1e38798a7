#include "cli/cli.hpp"

namespace millrace::cli {

int run(int, char**) { return 2; }

}  // namespace millrace::cli
