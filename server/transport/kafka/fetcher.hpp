// Fetcher: reads partitions that it is told to read, from explicit offsets, and hands batches to
// its sink.
//
// It is a client without membership: partitions come and go one by one
// (rd_kafka_incremental_assign, which an eager group forbids), each on a queue of its own that is
// not forwarded. Back-pressure is not draining that queue; librdkafka's prefetch limit does the
// rest. Nothing is ever paused or sought: 2.0.2 can skip offsets after that.
// Thread rule: the loop thread, sink included. One turn takes at most one batch from each partition
// and then lets the loop breathe. The sink may call back into the Fetcher; nothing comes for a
// partition after `remove`.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <vector>

#include "core/asio_runtime.hpp"
#include "events/record.hpp"
#include "transport/kafka/client.hpp"
#include "transport/kafka/queue_event.hpp"

namespace millrace::kafka {

class FetchSink {
public:
    virtual ~FetchSink() = default;
    virtual void on_records(RecordBatchPtr batch) = 0;
    virtual void on_fetched_to_end(const TopicPartition& origin, Epoch epoch, Offset end) = 0;
    // Reading stopped; it goes on after another `start`.
    virtual void on_no_such_offset(const TopicPartition& origin, Epoch epoch, Offset asked) = 0;
    virtual void on_fetch_error(const TopicPartition& origin, rd_kafka_resp_err_t code,
                                const std::string& reason) = 0;
};

struct FetchLimits {
    std::size_t max_batch_records = 500;
    std::size_t max_batch_bytes = 1 << 20;
};

class Fetcher {
public:
    Fetcher(AsioRuntime& runtime, ClientPtr client, FetchLimits limits, FetchSink& sink);
    ~Fetcher();

    // `offset` may be librdkafka's logical BEGINNING or END. A partition that is being read begins
    // anew there.
    void start(const TopicPartition& origin, Epoch epoch, std::int64_t offset);
    void set_draining(const TopicPartition& origin, bool draining);
    void remove(const std::vector<TopicPartition>& origins);
    void remove_all();
    // Logs and errors; also called by itself twice a second.
    void serve();

private:
    struct Source;
    using SourcePtr = std::shared_ptr<Source>;

    void turn();
    void turn_later();
    // True when more waits.
    bool drain(Source& source);
    void refill(Source& source);
    void deliver(Source& source);
    void handle_event(Source& source, const rd_kafka_message_t& message);
    void tick();

    AsioRuntime& runtime_;
    ClientPtr client_;
    FetchLimits limits_;
    FetchSink& sink_;
    QueueEvent event_;
    WatchedQueue consumer_queue_;
    std::map<TopicPartition, SourcePtr> sources_;
    std::vector<rd_kafka_message_t*> scratch_;
    std::unique_ptr<Timer> tick_;
    bool turn_posted_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::kafka
