/* What a C++ compiler makes of an inline variable unless it is told -fno-gnu-unique. */
__asm__(
    ".data\n.globl shared_static\n.type shared_static, @gnu_unique_object\n.size shared_static, "
    "4\nshared_static: .long 0\n.text\n");
#define BREAK(api) (void)(api)
#include "good.h"
