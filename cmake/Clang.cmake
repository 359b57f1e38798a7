# Toolchain of the preset `fuzz`: the clang that script/bootstrap full installs, else any.
find_program(CLANG_CXX NAMES clang++-19 clang++-22 clang++ REQUIRED)
string(REPLACE "clang++" "clang" CLANG_C ${CLANG_CXX})
set(CMAKE_CXX_COMPILER ${CLANG_CXX})
set(CMAKE_C_COMPILER ${CLANG_C})
