// Reader: reads a few records of a partition without being a consumer, for tail and the console.
//
// A client of its own, made when it is needed and dropped when it was idle, used on one helper
// lane: reads wait for one another. Thread rule: `read` and its callback on the loop thread. Fails
// with kNotFound for an unknown partition, kUnavailable or kTimeout.
#pragma once

#include <memory>
#include <string>

#include "core/runtime.hpp"
#include "transport/kafka/client.hpp"
#include "transport/kafka/helpers.hpp"
#include "transport/kafka/settings.hpp"
#include "transport/transport.hpp"

namespace millrace::kafka {

class Reader {
public:
    static constexpr std::size_t kMaxBytes = 8 << 20;  // of one read; the batch is shorter then

    Reader(Runtime& runtime, Helpers& helpers, const Settings& settings,
           std::shared_ptr<Reaper> reaper);

    void read(const TopicPartition& origin, Offset offset, std::size_t limit,
              Callback<Result<RecordBatchPtr>> done);
    void stop();

private:
    struct Session;

    Runtime& runtime_;
    Helpers& helpers_;
    std::shared_ptr<Strand> lane_;
    std::shared_ptr<Session> session_;
    std::unique_ptr<Timer> idle_;
};

}  // namespace millrace::kafka
