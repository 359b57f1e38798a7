#include "gateway/ingest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "events/time.hpp"
#include "gateway/ingest_body.hpp"

namespace millrace::gateway {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Records that are handed to the log before the loop gets its turn: well below a millisecond.
constexpr std::size_t kSliceRecords = 250;

struct Item {
    std::string_view text;
    Headers headers;
    std::optional<std::string> key;
    std::string event_id;  // empty: derived from the position
    std::optional<Problem> fault;
    std::optional<RecordPosition> position;
};

Problem unreadable(const DecodedEvent& event, const std::string& topic) {
    std::string detail = fmt::format("the event is refused: {}", event.fault);
    switch (event.status) {
        case EventStatus::kSchemaFault:
            return {422,
                    std::move(detail),
                    {},
                    fmt::format("send what the topic {} accepts (its `schema` and `mode`)", topic),
                    {}};
        case EventStatus::kUnknownVersion:
            return {422,
                    std::move(detail),
                    {},
                    "send a schema_version that this server has a schema for",
                    {}};
        case EventStatus::kUndecodable:
        case EventStatus::kTombstone:
        case EventStatus::kReadable:
            break;
    }
    return {400, std::move(detail), {}, "send each event as a JSON object, UTF-8", {}};
}

// In tolerant mode a version nobody knows is for the readers to skip.
bool is_refused(const DecodedEvent& event, bool strict) {
    if (event.status == EventStatus::kUnknownVersion) return strict;
    return event.status != EventStatus::kReadable;
}

void read_item(Item& item, const EnvelopeReader& reader, const TopicSection& topic) {
    const auto decoded = reader.decode_one(topic.name, std::string(item.text), item.headers);
    const DecodedEvent& event = decoded->events.front();
    if (is_refused(event, topic.strict)) {
        item.fault = unreadable(event, topic.name);
        return;
    }
    if (!item.key && event.envelope.user_id) item.key = *event.envelope.user_id;
    if (event.envelope.event_id) item.event_id = *event.envelope.event_id;
}

RecordBatchPtr as_batch(const Item& item, Timestamp timestamp) {
    auto batch = std::make_shared<RecordBatch>();
    batch->origin = item.position->origin;
    for (const auto& [name, value] : item.headers) batch->headers.push_back({name, value});
    Record record;
    record.offset = item.position->offset;
    record.timestamp = timestamp;
    if (item.key) record.key = *item.key;
    record.value = item.text;
    record.headers = batch->headers;
    batch->records.push_back(record);
    batch->bytes = item.text.size();
    return batch;
}

std::string accepted_json(const Item& item) {
    return fmt::format(R"({{"topic":{},"partition":{},"offset":{},"event_id":{}}})",
                       json_quoted(item.position->origin.topic),
                       item.position->origin.partition.value, item.position->offset.value,
                       json_quoted(item.event_id));
}

std::string result_json(const Item& item) {
    return item.fault ? fmt::format(R"({{"error":{}}})", to_json(*item.fault))
                      : accepted_json(item);
}

Problem problem_of_body(const Error& error, const Request& request) {
    Problem problem = problem_of(error, request);
    problem.status = error.code == ErrorCode::kDenied ? 415
                     : error.code == ErrorCode::kFull ? 413
                                                      : 400;
    problem.help =
        "send one JSON object, an array of them, or a line for each (application/x-ndjson)";
    return problem;
}

Response single_response(const Item& item, const Request& request) {
    if (!item.fault)
        return Response{200, "application/json", {}, accepted_json(item) + "\n", false};
    Problem problem = *item.fault;
    problem.instance = request.path;
    return to_response(problem);
}

// All refused: one problem document, as bad as the worst that a retry can mend, with the results in
// it.
Response batch_response(const std::vector<Item>& items, const Request& request) {
    std::size_t rejected = 0;
    int status = 0;
    std::string results;
    for (const Item& item : items) {
        if (!results.empty()) results += ",";
        results += result_json(item);
        if (!item.fault) continue;
        ++rejected;
        status = std::max(status, item.fault->status);
    }
    const std::string members = fmt::format(R"("accepted":{},"rejected":{},"results":[{}])",
                                            items.size() - rejected, rejected, results);
    if (rejected == items.size()) {
        return to_response({status, fmt::format("none of the {} events was taken", rejected),
                            request.path, "each entry of results says why", members});
    }
    return Response{
        rejected == 0 ? 200 : 207, "application/json", {}, fmt::format("{{{}}}\n", members), false};
}

}  // namespace

struct Ingest::Work {
    using Results = std::vector<Result<RecordPosition>>;

    Request request;
    const TopicSection* topic;
    Timestamp timestamp;
    Respond respond;
    std::shared_ptr<Strand> strand;
    bool is_batch = false;
    std::vector<Item> items;
    std::vector<std::vector<OutgoingRecord>> slices;  // of the items without fault, in order
    std::vector<Results> results;                     // by slice
    std::size_t published = 0;                        // slices
    std::size_t open = 0;                             // slices that are not confirmed yet
    std::optional<Error> stopped;                     // the log has no room: no more slices
    std::optional<Response> refusal;
};

Ingest::Ingest(const GatewayParts& parts, WorkerPool& pool) : parts_(parts), pool_(pool) {
    for (const TopicSection& topic : parts.config.topics) {
        const auto counter = [&](const char* result) {
            return parts.metrics.counter(
                "millrace_ingest_events_total",
                "Events received over HTTP: accepted, rejected (as sent), failed (to append)",
                {{"topic", topic.name}, {"result", result}});
        };
        counters_[topic.name] = {counter("accepted"), counter("rejected"), counter("failed")};
    }
}

Ingest::~Ingest() = default;

std::optional<Problem> Ingest::refuse(const Request& request, const std::string& topic) const {
    if (!counters_.contains(topic)) {
        std::vector<std::string_view> names;
        for (const auto& [name, counters] : counters_) names.push_back(name);
        return Problem{
            404,
            fmt::format("there is no topic '{}'; declared are {}", topic, fmt::join(names, ", ")),
            request.path,
            "post to one of these, or declare it under `topics` in the configuration",
            {}};
    }
    if (const auto coding = trimmed(request.header("content-encoding"));
        !coding.empty() && !equal_ignoring_case(coding, "identity")) {
        return Problem{415,
                       fmt::format("the Content-Encoding '{}' is not understood", coding),
                       request.path,
                       "send the events as they are, without compression",
                       {}};
    }
    if (is_ingest_type(request.header("content-type"))) return std::nullopt;
    return Problem{
        415,
        fmt::format("'{}' is not a media type of events", request.header("content-type")),
        request.path,
        "send application/json, application/x-ndjson or application/cloudevents+json",
        {}};
}

void Ingest::handle(Request request, const std::string& topic, Respond respond) {
    auto work = std::make_shared<Work>();
    work->topic = &*std::ranges::find(parts_.config.topics, topic, &TopicSection::name);
    work->request = std::move(request);
    work->timestamp = from_epoch_ms(to_epoch_ms(parts_.runtime.clock().now()));
    work->respond = std::move(respond);
    work->strand = pool_.make_strand();
    Strand& strand = *work->strand;
    strand.post([this, work = std::move(work)]() mutable {
        read(*work);
        make_slices(*work);
        if (work->slices.empty()) return finish(std::move(work));
        parts_.runtime.loop().post(
            [this, work = std::move(work)]() mutable { publish(std::move(work)); });
    });
}

void Ingest::read(Work& work) const {
    const Request& request = work.request;
    const auto body = read_ingest_body(request, parts_.config.server.limits.max_batch_events);
    if (!body) {
        work.refusal = to_response(problem_of_body(body.error(), request));
        return;
    }
    work.is_batch = body->is_batch;
    const std::string idempotency_key(request.header("idempotency-key"));
    const auto key = request.parameter("key");
    for (const std::string_view text : body->events) {
        Item item{.text = text,
                  .headers = body->headers,
                  .key = {},
                  .event_id = {},
                  .fault = {},
                  .position = {}};
        if (key) item.key = *key;
        if (!idempotency_key.empty()) {
            // One key for the request: the place in it tells its events apart.
            const std::string suffix = body->is_batch ? fmt::format(".{}", work.items.size()) : "";
            item.headers.emplace_back("idempotency-key", idempotency_key + suffix);
        }
        read_item(item, parts_.reader, *work.topic);
        work.items.push_back(std::move(item));
    }
}

void Ingest::make_slices(Work& work) const {
    for (const Item& item : work.items) {
        if (item.fault) continue;
        if (work.slices.empty() || work.slices.back().size() == kSliceRecords) {
            work.slices.emplace_back();
            work.slices.back().reserve(std::min(kSliceRecords, work.items.size()));
        }
        work.slices.back().push_back({work.topic->name, std::nullopt, item.key,
                                      std::string(item.text), item.headers, work.timestamp});
    }
    work.results.resize(work.slices.size());
    work.open = work.slices.size();
}

void Ingest::publish(std::shared_ptr<Work> work) {
    if (work->stopped) return give_up_rest(std::move(work));
    const std::size_t slice = work->published++;
    const bool is_last = work->published == work->slices.size();
    parts_.transport.publish(std::move(work->slices[slice]), Origin::kIngest,
                             [this, work, slice](Work::Results results) mutable {
                                 confirmed(std::move(work), slice, std::move(results));
                             });
    if (is_last) return;
    parts_.runtime.loop().post(
        [this, work = std::move(work)]() mutable { publish(std::move(work)); });
}

void Ingest::confirmed(std::shared_ptr<Work> work, std::size_t slice,
                       std::vector<Result<RecordPosition>> results) {
    for (const auto& result : results) {
        if (result || work->stopped) continue;
        const ErrorCode code = result.error().code;
        if (code == ErrorCode::kFull || code == ErrorCode::kUnavailable)
            work->stopped = result.error();
    }
    work->results[slice] = std::move(results);
    if (--work->open == 0) finish_later(std::move(work));
}

// Later records of a key must not be written where earlier ones were not.
void Ingest::give_up_rest(std::shared_ptr<Work> work) {
    for (; work->published < work->slices.size(); ++work->published) {
        work->results[work->published].assign(work->slices[work->published].size(), *work->stopped);
        --work->open;
    }
    if (work->open == 0) finish_later(std::move(work));
}

void Ingest::finish_later(std::shared_ptr<Work> work) {
    Strand& strand = *work->strand;
    strand.post([this, work = std::move(work)]() mutable { finish(std::move(work)); });
}

void Ingest::finish(std::shared_ptr<Work> work) {
    if (!work->refusal) {
        take_results(*work);
        name_derived_ids(*work);
    } else {
        counters_.at(work->topic->name).rejected->add();
    }
    auto answer = std::make_shared<Response>(
        work->refusal    ? std::move(*work->refusal)
        : work->is_batch ? batch_response(work->items, work->request)
                         : single_response(work->items.front(), work->request));
    parts_.runtime.loop().post(
        [respond = std::move(work->respond), answer] { respond(std::move(*answer)); });
}

void Ingest::take_results(Work& work) const {
    const Counters& counters = counters_.at(work.topic->name);
    std::size_t accepted = 0;
    std::size_t taken = 0;
    for (Item& item : work.items) {
        if (item.fault) {
            counters.rejected->add();
            continue;
        }
        const auto& appended = work.results[taken / kSliceRecords][taken % kSliceRecords];
        ++taken;
        if (appended) {
            item.position = *appended;
            ++accepted;
        } else {
            item.fault = problem_of(appended.error(), work.request);
            counters.failed->add();
        }
    }
    counters.accepted->add(static_cast<double>(accepted));
}

// The id that every reader of the record derives; the reader here is the same one.
void Ingest::name_derived_ids(Work& work) const {
    for (Item& item : work.items) {
        if (item.fault || !item.event_id.empty()) continue;
        item.event_id =
            parts_.reader.decode(as_batch(item, work.timestamp))->events.front().effective_id;
    }
}

}  // namespace millrace::gateway
