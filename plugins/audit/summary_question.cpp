#include "summary_question.hpp"

#include <algorithm>
#include <utility>

namespace audit {
namespace {

using millrace::Json;

Json known(std::int64_t offset) { return offset < 0 ? Json() : Json(offset); }

Json to_partition(const millrace::Origin& origin, std::int64_t stored) {
    const std::int64_t skipped = origin.skipped + origin.duplicates;
    const bool none = origin.first < 0 || origin.last < origin.first;
    const std::int64_t seen = none ? 0 : origin.last - origin.first + 1;
    const std::int64_t missing = seen - stored - skipped - origin.dead_lettered;
    return Json::object({{"topic", origin.topic},
                         {"partition", origin.partition},
                         {"first", known(origin.first)},
                         {"last", known(origin.last)},
                         {"stored", stored},
                         {"skipped", skipped},
                         {"dead_lettered", origin.dead_lettered},
                         {"missing", std::max<std::int64_t>(0, missing)}});
}

std::pair<std::string_view, std::int64_t> place(const Json& partition) {
    return {partition.text_or("topic", ""), partition.find("partition")->integer().value()};
}

}  // namespace

std::string ask_summary(millrace::Context& context) {
    // Rows are numbered without a gap and never go.
    const std::int64_t events = context.integer("SELECT max(sequence) FROM events").value_or(0);
    Json partitions = Json::array();
    for (const millrace::Origin& origin : context.origins()) {
        partitions.push_back(to_partition(origin, events));
    }
    return Json::object({{"events", events}, {"partitions", partitions}}).dump();
}

std::string merge_summary(std::span<const std::string_view> answers) {
    std::int64_t events = 0;
    Json::Array partitions;
    for (const std::string_view answer : answers) {
        const Json parsed = Json::parse(answer);
        events += parsed.find("events")->integer().value();
        const auto& more = parsed.find("partitions")->items();
        partitions.insert(partitions.end(), more.begin(), more.end());
    }
    std::ranges::sort(partitions, {}, place);
    return Json::object({{"events", events}, {"partitions", Json::array(std::move(partitions))}})
        .dump();
}

}  // namespace audit
