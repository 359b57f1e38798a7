#include "core/log.hpp"

#include <spdlog/spdlog.h>

namespace millrace::log {}
