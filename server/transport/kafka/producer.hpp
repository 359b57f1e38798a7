// Producer: writes records with acks=all and tells of each when the broker confirmed it.
//
// Thread rule: the loop thread. Ownership: a call's records live here until the last of them is
// decided; librdkafka copies no value. When its queue is full, calls wait in order behind it up to
// kafka.max_pending_records and max_pending_bytes, beyond which a call fails as a whole with kFull:
// never a hole inside a key's order. A fatal error (the idempotent producer lost its sequence)
// fails what is outstanding as kUnavailable and a new client takes over.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/asio_runtime.hpp"
#include "transport/kafka/client.hpp"
#include "transport/kafka/queue_event.hpp"
#include "transport/kafka/settings.hpp"
#include "transport/kafka/trouble.hpp"
#include "transport/transport.hpp"

namespace millrace::kafka {

class Producer {
public:
    using Done = Callback<std::vector<Result<RecordPosition>>>;

    // Throws ErrorException when no client can be made.
    Producer(AsioRuntime& runtime, const Settings& settings, std::shared_ptr<Reaper> reaper,
             Trouble& trouble);
    ~Producer();

    void publish(std::vector<OutgoingRecord> records, Done done);
    // Waits up to five seconds for what is outstanding, then gives it up as kCancelled.
    void close(std::function<void()> done);
    // For metadata, administration and watermarks.
    ClientPtr client() const { return client_; }

private:
    struct Call;
    struct Slot {
        Call* call;
        std::size_t index;
        bool alone = false;  // refused within a batch; the next refusal is its own
    };
    struct Call {
        std::vector<OutgoingRecord> records;
        std::vector<Slot> slots;
        std::vector<Result<RecordPosition>> results;
        std::size_t bytes = 0;
        std::size_t next = 0;  // first record not handed to librdkafka
        std::size_t undecided = 0;
        Done done;
    };

    void connect();
    void serve();
    void pump();
    void pump_later();
    // False: the queue is full, try again later.
    bool hand_over(Call& call, std::size_t index);
    void hand_over_alone();
    void decide(const Slot& slot, Result<RecordPosition> result);
    void on_delivered(const rd_kafka_message_t& message);
    void on_fatal(const Error& error);
    void cancel_waiting();
    void check_closed();

    AsioRuntime& runtime_;
    const Settings& settings_;
    std::shared_ptr<Reaper> reaper_;
    Trouble& trouble_;
    std::unique_ptr<QueueEvent> event_;
    ClientPtr client_;
    WatchedQueue queue_;
    std::unordered_map<Call*, std::unique_ptr<Call>> calls_;
    std::deque<Call*> waiting_;
    std::deque<Slot*> alone_;  // while there are any, nothing else is handed over
    std::size_t waiting_records_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::size_t outstanding_ = 0;  // handed to librdkafka, not decided
    bool broken_ = false;
    std::function<void()> on_closed_;
    std::unique_ptr<Timer> tick_;
    std::unique_ptr<Timer> give_up_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    bool pump_posted_ = false;
};

}  // namespace millrace::kafka
