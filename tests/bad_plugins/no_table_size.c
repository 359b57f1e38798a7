#define BREAK(api) (api)->struct_size = 0
#include "good.h"
