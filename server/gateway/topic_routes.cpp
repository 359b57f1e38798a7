#include "gateway/topic_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "events/time.hpp"
#include "gateway/fields.hpp"

namespace millrace::gateway {
namespace {

constexpr std::size_t kDefaultRecords = 100;
constexpr std::size_t kMaxRecords = 1'000;
// A page that would be larger ends earlier, and `next` says where to go on: nothing for a user to
// set.
constexpr std::size_t kMaxPageBytes = 8U << 20;

// All topics with all their watermarks; answers when the last has come.
struct Listing {
    const GatewayParts& parts;
    Request request;
    Respond respond;
    std::vector<TopicInfo> topics;
    std::vector<std::vector<std::string>> partitions;  // JSON, by topic and partition
    std::size_t open = 0;
};

const TopicSection* declaration_of(const GatewayParts& parts, const std::string& topic) {
    const auto found = std::ranges::find(parts.config.topics, topic, &TopicSection::name);
    return found == parts.config.topics.end() ? nullptr : &*found;
}

std::string declaration_json(const TopicSection* topic) {
    if (topic == nullptr) return R"("declared":false)";
    const std::string retention =
        topic->retention ? std::to_string(topic->retention->count()) : "null";
    return fmt::format(
        R"("declared":true,"schema":{},"mode":"{}","retention_ms":{},"dead_letter":{})",
        topic->schema.empty() ? "null" : json_quoted(topic->schema),
        topic->strict ? "strict" : "tolerant", retention, json_quoted(topic->dead_letter));
}

void answer(const Listing& listing) {
    std::string items;
    for (std::size_t i = 0; i < listing.topics.size(); ++i) {
        const std::string& name = listing.topics[i].name;
        std::string partitions;
        for (const std::string& partition : listing.partitions[i])
            partitions += (partitions.empty() ? "" : ",") + partition;
        items += fmt::format(R"({}{{"name":{},"partitions":[{}],{}}})", items.empty() ? "" : ",",
                             json_quoted(name), partitions,
                             declaration_json(declaration_of(listing.parts, name)));
    }
    listing.respond(json_response(fmt::format(R"({{"topics":[{}]}})", items)));
}

std::string watermarks_json(std::size_t partition, const Result<Watermarks>& watermarks) {
    if (!watermarks) {
        return fmt::format(R"({{"partition":{},"low":null,"high":null,"error":{}}})", partition,
                           json_quoted(watermarks.error().message));
    }
    return fmt::format(R"({{"partition":{},"low":{},"high":{}}})", partition, watermarks->low.value,
                       watermarks->high.value);
}

void ask_watermarks(const std::shared_ptr<Listing>& listing) {
    listing->open = 1;
    for (std::size_t topic = 0; topic < listing->topics.size(); ++topic) {
        const TopicInfo& info = listing->topics[topic];
        auto& partitions = listing->partitions.emplace_back(
            static_cast<std::size_t>(std::max(info.partitions, 0)));
        listing->open += partitions.size();
    }
    for (std::size_t topic = 0; topic < listing->topics.size(); ++topic) {
        for (std::size_t i = 0; i < listing->partitions[topic].size(); ++i) {
            const TopicPartition origin{listing->topics[topic].name,
                                        Partition{static_cast<std::int32_t>(i)}};
            listing->parts.transport.watermarks(
                origin, [listing, topic, i](const Result<Watermarks>& watermarks) {
                    listing->partitions[topic][i] = watermarks_json(i, watermarks);
                    if (--listing->open == 0) answer(*listing);
                });
        }
    }
    if (--listing->open == 0) answer(*listing);
}

struct Reading {
    Request request;
    Respond respond;
    TopicPartition origin;
    std::size_t limit = kDefaultRecords;
    Watermarks log;
    Offset from;
};

void refuse(const Reading& reading, const Error& error, int status) {
    Problem problem = problem_of(error, reading.request);
    if (status != 0) problem.status = status;
    if (status == 400)
        problem.help = "offset is a number, earliest or latest; partition and limit are numbers";
    reading.respond(to_response(problem));
}

// What the reading rules find in it.
std::string envelope_json(const DecodedEvent& event) {
    if (event.status == EventStatus::kTombstone) return "";
    if (event.status != EventStatus::kReadable)
        return fmt::format(R"(,"fault":{})", json_quoted(event.fault));
    const auto text = [](const std::optional<std::string_view>& found) {
        return found ? json_quoted(*found) : std::string("null");
    };
    return fmt::format(R"(,"event_id":{},"event_type":{},"user_id":{},"task_id":{})",
                       json_quoted(event.effective_id), json_quoted(event.envelope.event_type),
                       text(event.envelope.user_id), text(event.envelope.task_id));
}

std::string record_json(const DecodedEvent& event) {
    const Record& record = *event.record;
    std::string headers;
    for (const Header& header : record.headers) {
        headers += fmt::format(R"({}{{"name":{},{}}})", headers.empty() ? "" : ",",
                               json_quoted(header.name), bytes_json("value", header.value));
    }
    return fmt::format(R"({{"offset":{},"timestamp":"{}",{},{},"headers":[{}]{}}})",
                       record.offset.value, format_time(record.timestamp),
                       bytes_json("key", record.key), bytes_json("value", record.value), headers,
                       envelope_json(event));
}

std::string records_json(const Reading& reading, const DecodedBatch& batch) {
    std::string items;
    Offset next = reading.from;
    Offset high = reading.log.high;
    std::size_t count = 0;
    for (const DecodedEvent& event : batch.events) {
        if (count++ == reading.limit || items.size() > kMaxPageBytes) break;
        if (!items.empty()) items += ",";
        items += record_json(event);
        next = event.record->offset.next();
        high = std::max(high, next);  // appended since the watermarks were read
    }
    return fmt::format(
        R"({{"topic":{},"partition":{},"low":{},"high":{},"next":{},"records":[{}]}})",
        json_quoted(reading.origin.topic), reading.origin.partition.value, reading.log.low.value,
        high.value, next.value, items);
}

// Negative: counted from the end, to be resolved with the watermarks.
Result<Offset> resolve_offset(const Reading& reading) {
    const auto text = reading.request.parameter("offset");
    if (!text || *text == "latest") {
        const auto back = text ? 0 : static_cast<std::int64_t>(reading.limit);
        return Offset{std::max(reading.log.low.value, reading.log.high.value - back)};
    }
    if (*text == "earliest") return reading.log.low;
    const auto asked =
        number_parameter(reading.request, "offset", 0, std::numeric_limits<std::int64_t>::max());
    if (!asked) return asked.error();
    return std::max(Offset{*asked}, reading.log.low);
}

void read_batch(const GatewayParts& parts, WorkerPool& pool,
                const std::shared_ptr<Reading>& reading) {
    parts.transport.read(
        reading->origin, reading->from, reading->limit,
        [&parts, &pool, reading](const Result<RecordBatchPtr>& batch) {
            if (!batch) return refuse(*reading, batch.error(), 0);
            pool.make_strand()->post([&parts, reading, records = *batch] {
                const auto decoded = parts.reader.decode(records);
                auto body = std::make_shared<std::string>(records_json(*reading, *decoded));
                parts.runtime.loop().post(
                    [reading, body] { reading->respond(json_response(std::move(*body))); });
            });
        });
}

}  // namespace

void list_topics(const GatewayParts& parts, Request request, Respond respond) {
    auto listing = std::make_shared<Listing>(
        Listing{parts, std::move(request), std::move(respond), {}, {}, 0});
    parts.transport.topics([listing](const Result<std::vector<TopicInfo>>& topics) {
        if (!topics)
            return listing->respond(to_response(problem_of(topics.error(), listing->request)));
        listing->topics = *topics;
        std::ranges::sort(listing->topics, {}, &TopicInfo::name);
        ask_watermarks(listing);
    });
}

void read_records(const GatewayParts& parts, WorkerPool& pool, Request request, Respond respond) {
    auto reading = std::make_shared<Reading>(
        Reading{std::move(request), std::move(respond), {}, kDefaultRecords, {}, {}});
    const auto partition = number_parameter(reading->request, "partition", 0,
                                            std::numeric_limits<std::int32_t>::max());
    if (!partition) return refuse(*reading, partition.error(), 400);
    const auto limit = number_parameter(reading->request, "limit", kDefaultRecords, kMaxRecords);
    if (!limit) return refuse(*reading, limit.error(), 400);
    reading->limit = static_cast<std::size_t>(*limit);
    reading->origin = {reading->request.segments[2],
                       Partition{static_cast<std::int32_t>(*partition)}};
    parts.transport.watermarks(reading->origin, [&parts, &pool,
                                                 reading](const Result<Watermarks>& log) {
        if (!log)
            return refuse(*reading, log.error(), log.error().code == ErrorCode::kInvalid ? 404 : 0);
        reading->log = *log;
        const auto from = resolve_offset(*reading);
        if (!from) return refuse(*reading, from.error(), 400);
        reading->from = *from;
        read_batch(parts, pool, reading);
    });
}

}  // namespace millrace::gateway
