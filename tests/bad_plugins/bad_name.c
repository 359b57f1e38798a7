#define BREAK(api) (api)->name = "Has Blanks"
#include "good.h"
