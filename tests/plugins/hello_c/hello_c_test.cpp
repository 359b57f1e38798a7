// The same handler in C, so the same tests.
#include "plugins/hello/hello_test.cpp"
