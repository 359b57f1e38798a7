#include "transport/kafka/producer.hpp"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <utility>

#include "core/log.hpp"
#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

constexpr std::size_t kRecordsPerTurn = 2'000;  // handed over before the loop gets its turn
constexpr milliseconds kFlushTimeout{5'000};
constexpr milliseconds kServeInterval{500};
constexpr auto kSource = "producer";

std::size_t size_of(const OutgoingRecord& record) {
    std::size_t bytes = record.key.value_or("").size() + record.value.value_or("").size();
    for (const auto& [name, value] : record.headers) bytes += name.size() + value.size();
    return bytes;
}

HeadersPtr headers_of(const OutgoingRecord& record) {
    if (record.headers.empty()) return nullptr;
    HeadersPtr headers(rd_kafka_headers_new(record.headers.size()));
    for (const auto& [name, value] : record.headers)
        rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                            value.data(), static_cast<ssize_t>(value.size()));
    return headers;
}

// The arguments of one rd_kafka_produceva.
class Arguments {
public:
    Arguments(OutgoingRecord& record, void* opaque) {
        add(RD_KAFKA_VTYPE_TOPIC).cstr = record.topic.c_str();
        add(RD_KAFKA_VTYPE_PARTITION).i32 =
            record.partition ? record.partition->value : RD_KAFKA_PARTITION_UA;
        if (record.key) add_bytes(RD_KAFKA_VTYPE_KEY, *record.key);
        if (record.value) add_bytes(RD_KAFKA_VTYPE_VALUE, *record.value);
        if (record.timestamp)
            add(RD_KAFKA_VTYPE_TIMESTAMP).i64 =
                std::chrono::floor<milliseconds>(*record.timestamp).time_since_epoch().count();
        add(RD_KAFKA_VTYPE_OPAQUE).ptr = opaque;
        headers_ = headers_of(record);
        if (headers_) add(RD_KAFKA_VTYPE_HEADERS).headers = headers_.get();
    }

    rd_kafka_resp_err_t produce(rd_kafka_t* handle) {
        const ErrorPtr error(rd_kafka_produceva(handle, arguments_.data(), count_));
        if (error) return rd_kafka_error_code(error.get());
        static_cast<void>(headers_.release());
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }

private:
    decltype(rd_kafka_vu_t::u)& add(rd_kafka_vtype_t type) {
        arguments_.at(count_).vtype = type;
        return arguments_.at(count_++).u;
    }
    void add_bytes(rd_kafka_vtype_t type, std::string& bytes) {
        auto& argument = add(type);
        argument.mem.ptr = bytes.data();
        argument.mem.size = bytes.size();
    }

    std::array<rd_kafka_vu_t, 8> arguments_{};
    std::size_t count_ = 0;
    HeadersPtr headers_;
};

Error undelivered(const rd_kafka_message_t& message, const OutgoingRecord& record) {
    const auto code = message.err;
    if (code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        return fail(ErrorCode::kTimeout,
                    fmt::format("kafka: the broker did not confirm a record for {} within "
                                "message.timeout.ms; whether it was written is not known",
                                record.topic));
    if (error_code_of(code) == ErrorCode::kTooLarge)
        return fail(
            ErrorCode::kTooLarge,
            fmt::format(
                "kafka: {} refused a record of {} bytes: {}; see the topic's max.message.bytes",
                record.topic, size_of(record), rd_kafka_err2str(code)));
    return error_of(code, fmt::format("a record for {} was not written", record.topic));
}

}  // namespace

Producer::Producer(AsioRuntime& runtime, const Settings& settings, std::shared_ptr<Reaper> reaper,
                   Trouble& trouble)
    : runtime_(runtime), settings_(settings), reaper_(std::move(reaper)), trouble_(trouble) {
    event_ = std::make_unique<QueueEvent>(runtime_.context(), [this] { serve(); });
    connect();
}

Producer::~Producer() {
    *alive_ = false;
    if (!client_) return;
    client_->detach();
    // Values are not copied: librdkafka must have let go of them before the calls die.
    rd_kafka_purge(client_->handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(client_->handle()) > 0) rd_kafka_poll(client_->handle(), 10);
}

void Producer::connect() {
    ClientEvents events;
    events.delivered = [this](const rd_kafka_message_t& message) { on_delivered(message); };
    events.fatal = [this](const Error& error) { on_fatal(error); };
    events.error = [this](rd_kafka_resp_err_t code, const std::string& reason) {
        trouble_.broker_error(code, reason);
    };
    auto client = Client::make_producer(settings_.producer(), std::move(events), reaper_);
    if (!client) throw ErrorException(client.error());
    client_ = *client;
    queue_ = WatchedQueue(QueuePtr(rd_kafka_queue_get_main(client_->handle())), *event_);
    broken_ = false;
    serve();
}

void Producer::serve() {
    rd_kafka_poll(client_->handle(), 0);
    tick_ = runtime_.loop().after(kServeInterval, [this] { serve(); });
    if (broken_ && outstanding_ == 0) {
        queue_ = WatchedQueue();
        client_->detach();
        connect();
        trouble_.clear(kSource);
    }
    if (!waiting_.empty() || !alone_.empty()) pump_later();
    check_closed();
}

void Producer::publish(std::vector<OutgoingRecord> records, Done done) {
    auto call = std::make_unique<Call>();
    for (const auto& record : records) call->bytes += size_of(record);
    const KafkaSection& limits = settings_.section();
    const bool full = waiting_records_ + records.size() > limits.max_pending_records ||
                      waiting_bytes_ + call->bytes > limits.max_pending_bytes;
    const bool crowded = full && !waiting_.empty();
    if (records.empty() || crowded || on_closed_) {
        const Error error =
            on_closed_ ? fail(ErrorCode::kCancelled, "kafka: shutting down")
                       : fail(ErrorCode::kFull,
                              "kafka: too many records wait for the broker "
                              "(kafka.max_pending_records, max_pending_bytes); retry later");
        std::vector<Result<RecordPosition>> refused(records.size(), error);
        runtime_.loop().post(
            [done = std::move(done), refused = std::move(refused)] { done(refused); });
        return;
    }
    call->results.assign(records.size(), fail(ErrorCode::kInternal, "undecided"));
    call->undecided = records.size();
    for (std::size_t i = 0; i < records.size(); ++i)
        call->slots.push_back(Slot{call.get(), i, false});
    call->records = std::move(records);
    call->done = std::move(done);
    waiting_records_ += call->undecided;
    waiting_bytes_ += call->bytes;
    waiting_.push_back(call.get());
    calls_.emplace(call.get(), std::move(call));
    pump_later();
}

void Producer::pump_later() {
    if (std::exchange(pump_posted_, true)) return;
    runtime_.loop().post([this, alive = alive_] {
        if (!*alive) return;
        pump_posted_ = false;
        pump();
    });
}

void Producer::pump() {
    if (!alone_.empty()) return hand_over_alone();
    std::size_t handed = 0;
    while (!waiting_.empty() && !broken_) {
        if (handed++ == kRecordsPerTurn) return pump_later();
        Call& call = *waiting_.front();
        // A full queue empties by delivery reports, which come through `serve`.
        if (!hand_over(call, call.next)) return;
    }
}

bool Producer::hand_over(Call& call, std::size_t index) {
    OutgoingRecord& record = call.records[index];
    const auto code = Arguments(record, &call.slots[index]).produce(client_->handle());
    // After a fatal error its callback comes with the next `serve`, which renews the client.
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL || code == RD_KAFKA_RESP_ERR__FATAL) return false;
    --waiting_records_;
    if (++call.next == call.records.size()) {
        waiting_bytes_ -= call.bytes;
        waiting_.pop_front();
    }
    ++outstanding_;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        decide(call.slots[index], error_of(code, fmt::format("a record for {}", record.topic)));
    return true;
}

void Producer::hand_over_alone() {
    if (broken_ || outstanding_ > 0) return;
    Slot& slot = *alone_.front();
    OutgoingRecord& record = slot.call->records[slot.index];
    const auto code = Arguments(record, &slot).produce(client_->handle());
    if (code == RD_KAFKA_RESP_ERR__FATAL) return;
    alone_.pop_front();
    ++outstanding_;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        decide(slot, error_of(code, fmt::format("a record for {}", record.topic)));
}

void Producer::decide(const Slot& slot, Result<RecordPosition> result) {
    --outstanding_;
    Call& call = *slot.call;
    call.results[slot.index] = std::move(result);
    if (--call.undecided > 0) return;
    const auto node = calls_.extract(&call);
    assert(!node.empty());
    runtime_.loop().post(
        [done = std::move(call.done), results = std::move(call.results)]() mutable {
            done(std::move(results));
        });
}

void Producer::on_delivered(const rd_kafka_message_t& message) {
    Slot& slot = *static_cast<Slot*>(message._private);
    const OutgoingRecord& record = slot.call->records[slot.index];
    if (message.err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && !std::exchange(slot.alone, true)) {
        log::debug("kafka", "{} refused a batch as too large; its records are sent one by one",
                   record.topic);
        --outstanding_;
        return alone_.push_back(&slot);
    }
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return decide(slot, undelivered(message, record));
    decide(slot, RecordPosition{TopicPartition{record.topic, Partition{message.partition}},
                                Offset{message.offset}});
}

void Producer::on_fatal(const Error& error) {
    if (std::exchange(broken_, true)) return;
    trouble_.report(kSource, fmt::format("{}; the producer starts anew", error.message));
    rd_kafka_purge(client_->handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                          RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void Producer::cancel_waiting() {
    for (Slot* slot : std::exchange(alone_, {})) {
        ++outstanding_;
        decide(*slot, fail(ErrorCode::kCancelled, "kafka: shutting down"));
    }
    for (Call* call : std::exchange(waiting_, {})) {
        const std::size_t first = std::exchange(call->next, call->records.size());
        const std::size_t count = call->records.size() - first;
        waiting_records_ -= count;
        outstanding_ += count;
        for (std::size_t i = 0; i < count; ++i)
            decide(Slot{call, first + i, false},
                   fail(ErrorCode::kCancelled, "kafka: shutting down"));
    }
    waiting_bytes_ = 0;
}

void Producer::close(std::function<void()> done) {
    on_closed_ = std::move(done);
    give_up_ = runtime_.loop().after(kFlushTimeout, [this] {
        log::warn("kafka", "{} records were not confirmed before the end",
                  outstanding_ + waiting_records_);
        cancel_waiting();
        rd_kafka_purge(client_->handle(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                              RD_KAFKA_PURGE_F_NON_BLOCKING);
        serve();
    });
    runtime_.loop().post([this, alive = alive_] {
        if (*alive) check_closed();
    });
}

void Producer::check_closed() {
    if (!on_closed_ || !calls_.empty()) return;
    give_up_.reset();
    tick_.reset();
    runtime_.loop().post(std::exchange(on_closed_, [] {}));
}

}  // namespace millrace::kafka
