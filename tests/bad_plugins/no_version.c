#define BREAK(api) (api)->version = ""
#include "good.h"
