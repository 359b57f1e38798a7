// Ingest: POST /v1/topics/{topic}/events. Reads the events of a request, appends them to the log,
// and answers once that is confirmed.
//
// Thread rule: `handle` and its callback on the loop thread. Whatever grows with the request
// happens on the pool (payloads cut and parsed, records made, the answer written, all of it let
// go), or on the loop in slices of kSliceRecords, so that a large batch does not hold up its
// neighbours. Ownership: outlives the loop's run. Errors: per event, with what was appended beside
// it.
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
    void read(Work& work) const;
    void make_slices(Work& work) const;
    // A slice of the records, and so on until the last.
    void publish(std::shared_ptr<Work> work);
    void confirmed(std::shared_ptr<Work> work, std::size_t slice,
                   std::vector<Result<RecordPosition>> results);
    void give_up_rest(std::shared_ptr<Work> work);
    void finish_later(std::shared_ptr<Work> work);
    // On the pool: gives the results to their events, writes the answer, counts.
    void finish(std::shared_ptr<Work> work);
    void take_results(Work& work) const;
    void name_derived_ids(Work& work) const;

    const GatewayParts& parts_;
    WorkerPool& pool_;
    std::map<std::string, Counters> counters_;  // by declared topic
};

}  // namespace millrace::gateway
