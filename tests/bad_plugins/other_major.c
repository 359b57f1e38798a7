#define BREAK(api) (api)->abi_major = MILLRACE_ABI_MAJOR + 1
#include "good.h"
