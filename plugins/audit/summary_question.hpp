// The question `summary`: for every partition, what became of each offset that audit has seen.
//
// stored + skipped + dead_lettered + missing = last - first + 1, unless a dead letter was redriven
// and stored after all. Skipped counts duplicates too. Missing are offsets without any outcome; on
// Kafka the markers of transactions are among them.
#pragma once

#include <millrace/plugin.hpp>
#include <span>
#include <string>
#include <string_view>

namespace audit {

std::string ask_summary(millrace::Context& context);
std::string merge_summary(std::span<const std::string_view> answers);

}  // namespace audit
