#include "transport/kafka/batch.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

namespace millrace::kafka {
namespace {

// The messages go before the client that their memory belongs to.
struct BatchMemory {
    ClientPtr client;
    std::vector<MessagePtr> messages;
};

std::string_view view_of(const void* data, std::size_t size) {
    return {static_cast<const char*>(data), size};
}

void append_headers(const rd_kafka_message_t& message, std::vector<Header>& headers) {
    rd_kafka_headers_t* list = nullptr;
    if (rd_kafka_message_headers(&message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; rd_kafka_header_get_all(list, i, &name, &value, &size) == 0; ++i)
        headers.push_back(
            Header{name, value == nullptr ? std::string_view() : view_of(value, size)});
}

Record record_of(const rd_kafka_message_t& message) {
    Record record;
    record.offset = Offset{message.offset};
    rd_kafka_timestamp_type_t type{};
    const std::int64_t time = rd_kafka_message_timestamp(&message, &type);
    record.timestamp = Timestamp(milliseconds(std::max<std::int64_t>(time, 0)));
    if (type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME)
        record.timestamp_type = TimestampType::kLogAppend;
    if (message.key != nullptr) record.key = view_of(message.key, message.key_len);
    if (message.payload != nullptr) record.value = view_of(message.payload, message.len);
    return record;
}

// Headers lie in one vector; only when it has its final size can spans point into it.
void attach_headers(RecordBatch& batch, const std::vector<std::size_t>& ends) {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        batch.records[i].headers = std::span(batch.headers).subspan(begin, ends[i] - begin);
        begin = ends[i];
    }
}

}  // namespace

RecordBatchPtr make_batch(ClientPtr client, const TopicPartition& origin, Epoch epoch,
                          std::vector<MessagePtr> messages) {
    auto batch = std::make_shared<RecordBatch>();
    batch->origin = origin;
    batch->epoch = epoch;
    batch->records.reserve(messages.size());
    std::vector<std::size_t> ends;
    ends.reserve(messages.size());
    for (const auto& message : messages) {
        batch->records.push_back(record_of(*message));
        batch->bytes += message->len + message->key_len;
        append_headers(*message, batch->headers);
        ends.push_back(batch->headers.size());
    }
    attach_headers(*batch, ends);
    for (const auto& header : batch->headers)
        batch->bytes += header.name.size() + header.value.size();
    batch->memory =
        std::make_shared<BatchMemory>(BatchMemory{std::move(client), std::move(messages)});
    return batch;
}

}  // namespace millrace::kafka
