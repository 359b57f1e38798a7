# The house's warnings, as an interface target that every target of ours links. Sanitised presets take out maybe-uninitialized, which
# GCC reports there for values that are set; release keeps it.
add_library(millrace_warnings INTERFACE)
target_compile_options(millrace_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Wold-style-cast>)
