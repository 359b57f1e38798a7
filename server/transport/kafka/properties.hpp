// What librdkafka finds wrong with `kafka.properties` and the environment's values among them, told
// before anything is started: names, values, and whether they go together (SASL, TLS files).
//
// Start-up; connects to nothing. Errors: ConfigError with every fault, one a line, each at its file
// and line (or the variable's name), with what was expected.
#pragma once

#include "core/config/server_config.hpp"

namespace millrace {

void check_kafka_properties(const KafkaSection& section);

}  // namespace millrace
