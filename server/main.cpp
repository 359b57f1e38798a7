#include "cli/cli.hpp"

int main(int argc, char** argv) { return millrace::cli::run(argc, argv); }
