#include "gateway/letter_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <memory>

#include "core/config/units.hpp"
#include "engine/letter_desk.hpp"
#include "events/time.hpp"
#include "gateway/fields.hpp"

namespace millrace::gateway {
namespace {

using engine::Letter;
using engine::LetterFilter;
using engine::LetterQuery;

constexpr std::int64_t kDefaultLetters = 100;
constexpr std::int64_t kMaxLetters = 1'000;
constexpr std::size_t kTopicSegment = 3;

std::string text_of(const Request& request, std::string_view name) {
    return std::string(request.parameter(name).value_or(""));
}

bool flag_of(const Request& request, std::string_view name) {
    const auto given = request.parameter(name);
    return given && *given != "false" && *given != "0";
}

Result<std::pair<Partition, Offset>> read_position(std::string_view text) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    const auto first = std::from_chars(text.data(), text.data() + colon, partition);
    const char* begin = text.data() + std::min(colon + 1, text.size());
    const auto second = std::from_chars(begin, text.data() + text.size(), offset);
    if (first.ec == std::errc() && second.ec == std::errc() && first.ptr == text.data() + colon &&
        second.ptr == text.data() + text.size())
        return std::pair{Partition{partition}, Offset{offset}};
    return fail(ErrorCode::kInvalid, fmt::format("at={} is not partition:offset", text));
}

// A time, or how long ago.
Result<std::optional<Timestamp>> read_time(const GatewayParts& parts, const Request& request,
                                           std::string_view name) {
    const auto text = request.parameter(name);
    if (!text) return std::optional<Timestamp>();
    if (const auto time = parse_time(*text)) return std::optional(*time);
    if (const auto ago = config::parse_duration(*text))
        return std::optional<Timestamp>(parts.runtime.clock().now() - *ago);
    return fail(ErrorCode::kInvalid,
                fmt::format("{}={} is neither a time (2026-02-10T08:00:00Z) nor how long ago (2h)",
                            name, *text));
}

Result<LetterFilter> read_filter(const GatewayParts& parts, const Request& request) {
    LetterFilter filter;
    filter.error_class = text_of(request, "class");
    filter.handler = text_of(request, "handler");
    filter.user = text_of(request, "user");
    filter.id = text_of(request, "id");
    filter.closed = flag_of(request, "all");
    if (const auto key = request.parameter("key")) filter.key = std::string(*key);
    if (const auto at = request.parameter("at")) {
        const auto position = read_position(*at);
        if (!position) return position.error();
        filter.at = *position;
    }
    const auto from = read_time(parts, request, "from");
    if (!from) return from.error();
    filter.from = *from;
    const auto to = read_time(parts, request, "to");
    if (!to) return to.error();
    filter.to = *to;
    return filter;
}

// By its own name or its source's.
Result<std::string> find_letters_of(const GatewayParts& parts, const std::string& name) {
    std::string names;
    for (const TopicSection& topic : parts.config.topics) {
        if (topic.name == name || topic.dead_letter == name) return topic.dead_letter;
        names += (names.empty() ? "" : ", ") + topic.name;
    }
    return fail(
        ErrorCode::kNotFound,
        fmt::format("there is no topic '{}' with dead letters; there are: {}", name, names));
}

Result<LetterQuery> read_query(const GatewayParts& parts, const Request& request) {
    const auto topic = find_letters_of(parts, request.segments[kTopicSegment]);
    if (!topic) return topic.error();
    const auto filter = read_filter(parts, request);
    if (!filter) return filter.error();
    const auto limit = number_parameter(request, "limit", kDefaultLetters, kMaxLetters);
    if (!limit) return limit.error();
    return LetterQuery{*topic, *filter, static_cast<std::size_t>(std::max<std::int64_t>(*limit, 1)),
                       text_of(request, "cursor")};
}

std::string quoted_or_null(const std::optional<std::string>& text) {
    return text ? json_quoted(*text) : std::string("null");
}

std::string kind_json(const Letter& letter) {
    if (!letter.timer.empty())
        return fmt::format(R"("kind":"timer","timer":{})", json_quoted(letter.timer));
    if (!letter.call.empty())
        return fmt::format(R"("kind":"response","call":{})", json_quoted(letter.call));
    if (!letter.target.empty())
        return fmt::format(R"("kind":"event","target":{})", json_quoted(letter.target));
    return R"("kind":"record")";
}

std::string origin_json(const Letter& letter) {
    if (letter.offset.value < 0) {
        return fmt::format(R"("topic":{},"partition":null,"offset":null,"timestamp":"{}")",
                           json_quoted(letter.origin.topic), format_time(letter.timestamp));
    }
    return fmt::format(R"("topic":{},"partition":{},"offset":{},"timestamp":"{}")",
                       json_quoted(letter.origin.topic), letter.origin.partition.value,
                       letter.offset.value, format_time(letter.timestamp));
}

std::string position_json(const RecordPosition& position) {
    return fmt::format(R"("position":{{"topic":{},"partition":{},"offset":{}}})",
                       json_quoted(position.origin.topic), position.origin.partition.value,
                       position.offset.value);
}

std::string failure_json(const Letter& letter) {
    return fmt::format(
        R"("class":{},"message":{},"handler":{},"group":{},"attempts":{},"first_failure":{},"last_failure":{},"redrives":{})",
        json_quoted(letter.error_class), json_quoted(letter.message), json_quoted(letter.handler),
        json_quoted(letter.group), letter.attempts, json_quoted(letter.first_failure),
        json_quoted(letter.last_failure), letter.redrives);
}

std::string values_json(const Letter& letter) {
    std::string headers;
    for (const auto& [name, value] : letter.headers) {
        headers += fmt::format(R"({}{{"name":{},{}}})", headers.empty() ? "" : ",",
                               json_quoted(name), bytes_json("value", value));
    }
    return fmt::format(R"({},"headers":[{}])", bytes_json("value", letter.value), headers);
}

std::string letter_json(const Letter& letter, bool with_values) {
    const auto bytes = letter.value_bytes.value_or(letter.value.value_or("").size());
    std::string json = fmt::format(
        R"({{"id":"{}","state":"{}","closed":{},{},"written":"{}",{},{},{},"event_id":{},"user_id":{},{},"value_bytes":{})",
        letter.id, to_string(letter.state),
        letter.closed ? json_quoted(format_time(*letter.closed)) : "null",
        position_json(letter.position), format_time(letter.written), kind_json(letter),
        origin_json(letter), failure_json(letter), json_quoted(letter.event_id),
        quoted_or_null(letter.user), bytes_json("key", letter.key), bytes);
    if (with_values) json += "," + values_json(letter);
    return json + "}";
}

std::string next_json(const std::optional<std::string>& next) {
    return fmt::format(R"("next":{})", quoted_or_null(next));
}

std::string list_json(const std::vector<Letter>& letters, bool with_values) {
    std::string items;
    for (const Letter& letter : letters)
        items += (items.empty() ? "" : ",") + letter_json(letter, with_values);
    return "[" + items + "]";
}

std::string page_json(const engine::LetterPage& page, bool with_values) {
    return fmt::format(R"({{"items":{},{}}})", list_json(page.letters, with_values),
                       next_json(page.next));
}

std::string results_json(const engine::LetterResults& results) {
    std::string letters;
    std::string failed;
    std::size_t done = 0;
    for (const auto& result : results.letters) {
        const std::string entry =
            fmt::format(R"({{"id":"{}",{},"handler":{})", result.id, position_json(result.position),
                        json_quoted(result.handler));
        if (result.error) {
            failed += fmt::format(R"({}{},"error":{}}})", failed.empty() ? "" : ",", entry,
                                  json_quoted(result.error->message));
        } else {
            ++done;
            letters += (letters.empty() ? "" : ",") + entry + "}";
        }
    }
    return fmt::format(R"({{"matched":{},"done":{},"letters":[{}],"failed":[{}],"stopped":{},{}}})",
                       results.letters.size(), done, letters, failed,
                       results.stopped ? json_quoted(results.stopped->message) : "null",
                       next_json(results.next));
}

// What a redrive or discard would be about.
std::string plan_json(const engine::LetterPage& page) {
    return fmt::format(
        R"({{"dry_run":true,"matched":{},"done":0,"letters":{},"failed":[],"stopped":null,{}}})",
        page.letters.size(), list_json(page.letters, false), next_json(page.next));
}

void refuse(const Request& request, const Respond& respond, const Error& error) {
    Problem problem = problem_of(error, request);
    if (error.code == ErrorCode::kInvalid) problem.status = 400;
    respond(to_response(problem));
}

template <class Value, class ToJson>
auto answer(Request request, Respond respond, ToJson to_json_text) {
    return [request = std::move(request), respond = std::move(respond),
            to_json_text](Result<Value> value) {
        if (!value) return refuse(request, respond, value.error());
        respond(json_response(to_json_text(*value)));
    };
}

// Counts what lies in each dead-letter topic; answers when the last has been asked.
struct Counting {
    const GatewayParts& parts;
    Respond respond;
    std::map<std::string, std::int64_t> records;
    std::size_t open = 1;

    void decided() {
        if (--open > 0) return;
        std::string items;
        for (const TopicSection& topic : parts.config.topics) {
            const auto found = records.find(topic.dead_letter);
            items += fmt::format(R"({}{{"topic":{},"dead_letter":{},"records":{}}})",
                                 items.empty() ? "" : ",", json_quoted(topic.name),
                                 json_quoted(topic.dead_letter),
                                 found == records.end() ? "null" : std::to_string(found->second));
        }
        respond(json_response(fmt::format(R"({{"topics":[{}]}})", items)));
    }
};

void count_partition(const std::shared_ptr<Counting>& counting, const TopicPartition& origin) {
    ++counting->open;
    counting->parts.transport.watermarks(origin, [counting, origin](const Result<Watermarks>& log) {
        if (log) counting->records[origin.topic] += log->high.value - log->low.value;
        counting->decided();
    });
}

}  // namespace

void list_letter_topics(const GatewayParts& parts, Request request, Respond respond) {
    auto counting = std::make_shared<Counting>(Counting{parts, std::move(respond), {}, 1});
    parts.transport.topics(
        [counting, request = std::move(request)](const Result<std::vector<TopicInfo>>& topics) {
            if (!topics) return refuse(request, counting->respond, topics.error());
            for (const TopicInfo& info : *topics) {
                const auto is_letters = [&](const TopicSection& topic) {
                    return topic.dead_letter == info.name;
                };
                if (std::ranges::none_of(counting->parts.config.topics, is_letters)) continue;
                for (std::int32_t i = 0; i < info.partitions; ++i)
                    count_partition(counting, {info.name, {i}});
            }
            counting->decided();
        });
}

void list_letters(const GatewayParts& parts, Request request, Respond respond) {
    const auto query = read_query(parts, request);
    if (!query) return refuse(request, respond, query.error());
    const bool with_values = flag_of(request, "values");
    parts.letters.list(*query, answer<engine::LetterPage>(std::move(request), std::move(respond),
                                                          [with_values](const auto& page) {
                                                              return page_json(page, with_values);
                                                          }));
}

void redrive_letters(const GatewayParts& parts, Request request, Respond respond) {
    const auto query = read_query(parts, request);
    if (!query) return refuse(request, respond, query.error());
    const auto rate = number_parameter(request, "rate", parts.config.dead_letters.redrive_rate,
                                       std::numeric_limits<std::int32_t>::max());
    if (!rate) return refuse(request, respond, rate.error());
    if (flag_of(request, "dry_run")) {
        return parts.letters.list(
            *query, answer<engine::LetterPage>(std::move(request), std::move(respond), plan_json));
    }
    parts.letters.redrive(
        *query, static_cast<std::uint32_t>(*rate),
        answer<engine::LetterResults>(std::move(request), std::move(respond), results_json));
}

void discard_letters(const GatewayParts& parts, Request request, Respond respond) {
    const auto query = read_query(parts, request);
    if (!query) return refuse(request, respond, query.error());
    if (flag_of(request, "dry_run")) {
        return parts.letters.list(
            *query, answer<engine::LetterPage>(std::move(request), std::move(respond), plan_json));
    }
    parts.letters.discard(*query, answer<engine::LetterResults>(std::move(request),
                                                                std::move(respond), results_json));
}

}  // namespace millrace::gateway
