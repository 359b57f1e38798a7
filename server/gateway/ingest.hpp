// Ingest: POST /v1/topics/{topic}/events. Reads the events of a request, appends them to the log,
// and answers once that is confirmed.
//
// Thread rule: `handle` and its callback on the loop thread; payloads are cut and parsed on the
// pool. Ownership: outlives the loop's run. Errors: per event, with what was appended beside it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "gateway/gateway.hpp"
#include "gateway/http_message.hpp"

namespace millrace::gateway {

using Respond = std::function<void(Response)>;

class Ingest {
public:
    Ingest(const GatewayParts& parts, WorkerPool& pool);
    ~Ingest();

    // What can be said before the body was read: an unknown topic, a media type without events.
    std::optional<Problem> refuse(const Request& request, const std::string& topic) const;
    void handle(Request request, const std::string& topic, Respond respond);

private:
    struct Work;
    struct Counters {
        std::shared_ptr<Counter> accepted, rejected, failed;
    };
    void read(const std::shared_ptr<Work>& work) const;
    void publish(const std::shared_ptr<Work>& work);
    void confirmed(const std::shared_ptr<Work>& work, std::vector<Result<RecordPosition>> results);
    void name_derived_ids(Work& work) const;
    void answer(Work& work) const;

    const GatewayParts& parts_;
    WorkerPool& pool_;
    std::map<std::string, Counters> counters_;  // by declared topic
};

}  // namespace millrace::gateway
