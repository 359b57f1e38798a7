extern int nobody_defines_this(void);
#define BREAK(api) (api)->state_version = (uint32_t)nobody_defines_this()
#include "good.h"
