// Client: one librdkafka instance, its callbacks and its log.
//
// Thread rule: `serve` and so every callback on the thread that calls it (the loop; for the reader
// its strand); the handle itself may be used from any thread. Ownership: shared by its owner, by
// the helpers at work on it and by every batch that points into its memory; the last one hands it
// to the Reaper. `detach` ends the callbacks, for an owner that goes first.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/result.hpp"
#include "transport/kafka/handles.hpp"
#include "transport/kafka/reaper.hpp"

namespace millrace::kafka {

struct ClientEvents {
    std::function<void(rd_kafka_resp_err_t, const std::string& reason)> error;
    // The client gave up for good.
    std::function<void(const Error&)> fatal;
    std::function<void(rd_kafka_resp_err_t, const rd_kafka_topic_partition_list_t*)> rebalance;
    std::function<void(rd_kafka_resp_err_t, const rd_kafka_topic_partition_list_t*)> committed;
    std::function<void(const rd_kafka_message_t&)> delivered;
};

class Client {
public:
    static Result<std::shared_ptr<Client>> make_producer(ConfPtr conf, ClientEvents events,
                                                         const std::shared_ptr<Reaper>& reaper);
    static Result<std::shared_ptr<Client>> make_consumer(ConfPtr conf, ClientEvents events,
                                                         const std::shared_ptr<Reaper>& reaper);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    rd_kafka_t* handle() const { return handle_; }
    void detach() { events_ = {}; }

private:
    explicit Client(ClientEvents events) : events_(std::move(events)) {}
    static Result<std::shared_ptr<Client>> make(rd_kafka_type_t type, ConfPtr conf,
                                                ClientEvents events,
                                                const std::shared_ptr<Reaper>& reaper);
    void handle_error(int code, const char* reason);

    static void on_error(rd_kafka_t*, int code, const char* reason, void* self);
    static void on_log(const rd_kafka_t*, int level, const char* facility, const char* text);
    static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code,
                             rd_kafka_topic_partition_list_t* partitions, void* self);
    static void on_commit(rd_kafka_t*, rd_kafka_resp_err_t code,
                          rd_kafka_topic_partition_list_t* offsets, void* self);
    static void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self);

    rd_kafka_t* handle_ = nullptr;
    ClientEvents events_;
};

using ClientPtr = std::shared_ptr<Client>;

}  // namespace millrace::kafka
