#include "transport/kafka/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "transport/kafka/batch.hpp"
#include "transport/kafka/errors.hpp"
#include "transport/kafka/queries.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kQueryTimeout{5'000};
constexpr milliseconds kReadTimeout{5'000};
constexpr milliseconds kPollTimeout{100};
constexpr milliseconds kIdle{30'000};
constexpr std::size_t kSharesOfPrefetch = 8;

// Assigned for the time of one read.
class Assignment {
public:
    Assignment(rd_kafka_t* client, const TopicPartition& origin, Offset offset) : client_(client) {
        const auto list = list_of({origin}, offset.value);
        code_ = rd_kafka_assign(client_, list.get());
    }
    ~Assignment() { rd_kafka_assign(client_, nullptr); }
    Assignment(const Assignment&) = delete;
    Assignment& operator=(const Assignment&) = delete;
    rd_kafka_resp_err_t code() const { return code_; }

private:
    rd_kafka_t* client_;
    rd_kafka_resp_err_t code_;
};

bool is_from(const rd_kafka_message_t& message, const TopicPartition& origin) {
    return message.rkt != nullptr && message.partition == origin.partition.value &&
           origin.topic == rd_kafka_topic_name(message.rkt);
}

Result<std::vector<MessagePtr>> collect(rd_kafka_t* client, const TopicPartition& origin,
                                        Offset offset, Offset end, std::size_t limit) {
    const Assignment assignment(client, origin, offset);
    if (assignment.code() != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_of(assignment.code(), "reading " + to_string(origin));
    std::vector<MessagePtr> messages;
    std::size_t bytes = 0;
    const auto deadline = std::chrono::steady_clock::now() + kReadTimeout;
    while (messages.size() < limit && bytes < Reader::kMaxBytes) {
        if (std::chrono::steady_clock::now() > deadline) {
            if (!messages.empty()) break;
            return error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, "reading " + to_string(origin));
        }
        MessagePtr message(rd_kafka_consumer_poll(client, static_cast<int>(kPollTimeout.count())));
        if (!message || !is_from(*message, origin)) continue;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) break;
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return error_of(message->err, "reading " + to_string(origin));
        const Offset next = Offset{message->offset}.next();
        bytes += message->len + message->key_len;
        messages.push_back(std::move(message));
        if (next >= end) break;
    }
    return messages;
}

}  // namespace

// Touched on the lane only.
struct Reader::Session {
    const Settings& settings;
    std::shared_ptr<Reaper> reaper;
    ClientPtr client;

    Result<RecordBatchPtr> read(const TopicPartition& origin, Offset offset, std::size_t limit) {
        if (!client) {
            const auto group = settings.section().group_prefix + ".reader";
            auto made =
                Client::make_consumer(settings.fetcher(group, kSharesOfPrefetch), {}, reaper);
            if (!made) return made.error();
            client = *made;
        }
        const auto ends = query_ends(client->handle(), origin, kQueryTimeout);
        if (!ends) return ends.error();
        const Offset from = std::max(offset, ends->low);
        if (from >= ends->high || limit == 0) return make_batch(client, origin, Epoch{}, {});
        auto messages = collect(client->handle(), origin, from, ends->high, limit);
        if (!messages) return messages.error();
        return make_batch(client, origin, Epoch{}, std::move(*messages));
    }
};

Reader::Reader(Runtime& runtime, Helpers& helpers, const Settings& settings,
               std::shared_ptr<Reaper> reaper)
    : runtime_(runtime),
      helpers_(helpers),
      lane_(helpers.make_lane()),
      session_(std::make_shared<Session>(Session{settings, std::move(reaper), nullptr})) {}

void Reader::read(const TopicPartition& origin, Offset offset, std::size_t limit,
                  Callback<Result<RecordBatchPtr>> done) {
    idle_ = runtime_.loop().after(kIdle, [this] { stop(); });
    auto work = [session = session_, origin, offset, limit] {
        return session->read(origin, offset, limit);
    };
    helpers_.run(lane_, std::move(work), std::move(done));
}

void Reader::stop() {
    idle_.reset();
    lane_->post([session = session_] { session->client.reset(); });
}

}  // namespace millrace::kafka
