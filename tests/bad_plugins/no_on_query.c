#define BREAK(api) (api)->questions = questions, (api)->question_count = 1
static const char* const questions[] = {"anything"};
#include "good.h"
