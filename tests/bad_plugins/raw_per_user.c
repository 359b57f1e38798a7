#define BREAK(api) (api)->input = MILLRACE_INPUT_RAW
#include "good.h"
