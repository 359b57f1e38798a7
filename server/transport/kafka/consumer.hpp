// FetchingConsumer: what a group's consumer and a broadcast consumer have in common: partitions
// that are held, started one by one and read by a Fetcher, with their log ends.
//
// Thread rule: the loop thread. Ownership: the consumer belongs to the engine and the context to
// the transport, which outlives it. Answers of helpers that come after its destruction are dropped.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/asio_runtime.hpp"
#include "transport/kafka/fetcher.hpp"
#include "transport/kafka/helpers.hpp"
#include "transport/kafka/settings.hpp"
#include "transport/kafka/trouble.hpp"
#include "transport/kafka/watermark_poller.hpp"
#include "transport/transport.hpp"

namespace millrace::kafka {

// What the transport lends to each of its consumers.
struct ConsumerContext {
    AsioRuntime& runtime;
    const Settings& settings;
    Helpers& helpers;
    std::shared_ptr<Reaper> reaper;
    Trouble& trouble;
    WatermarkPoller& watermarks;
    std::function<void(const std::string& group)> left;  // a consumer of that group is gone
};

class FetchingConsumer : public Consumer, protected FetchSink {
public:
    FetchingConsumer(const ConsumerContext& context, Subscription subscription,
                     ConsumerListener& listener, ClientPtr fetch_client);
    ~FetchingConsumer() override;

    void start(const TopicPartition& origin, StartPosition from) override;
    void stop_draining(const TopicPartition& origin) override { set_draining(origin, false); }
    void resume_draining(const TopicPartition& origin) override { set_draining(origin, true); }
    std::optional<Watermarks> watermarks(const TopicPartition& origin) const override {
        return context_.watermarks.get(origin);
    }
    void close(std::function<void()> done) override;

    // The client that fetches for one subscription; `partitions` share the prefetch budget.
    static Result<ClientPtr> make_fetch_client(const ConsumerContext& context,
                                               const Subscription& subscription,
                                               std::size_t partitions);

protected:
    struct Held {
        Epoch epoch;
        bool draining = true;
        bool muted = false;  // being given up: nothing is read any more
    };

    Epoch hold(const std::vector<TopicPartition>& origins);
    void mute(const std::vector<TopicPartition>& origins);
    void give_up(const std::vector<TopicPartition>& origins);
    bool holds(const TopicPartition& origin, Epoch epoch) const;
    bool holds(const TopicPartition& origin) const { return held_.contains(origin); }
    void fail_for_good(const Error& error);
    void report(rd_kafka_resp_err_t code, const std::string& subject, const std::string& reason);
    bool closing() const { return closing_; }
    const std::shared_ptr<bool>& alive() const { return alive_; }
    ConsumerListener& listener() { return listener_; }
    const ConsumerContext& context() const { return context_; }
    const Subscription& subscription() const { return subscription_; }
    const std::shared_ptr<Strand>& lane() const { return lane_; }
    ClientPtr fetch_client() const { return client_; }
    // What the kind of consumer does to end, after reading has stopped.
    virtual void leave(std::function<void()> done) = 0;

    template <class Work, class Then>
    void ask(Work work, Then then) {
        context_.helpers.run(lane_, std::move(work),
                             [alive = alive_, then = std::move(then)](auto answer) mutable {
                                 if (*alive) then(std::move(answer));
                             });
    }

private:
    void on_records(RecordBatchPtr batch) override;
    void on_fetched_to_end(const TopicPartition& origin, Epoch epoch, Offset end) override;
    void on_no_such_offset(const TopicPartition& origin, Epoch epoch, Offset asked) override;
    void on_fetch_error(const TopicPartition& origin, rd_kafka_resp_err_t code,
                        const std::string& reason) override;
    void set_draining(const TopicPartition& origin, bool draining);
    void start_at(const TopicPartition& origin, Epoch epoch, std::int64_t offset);
    void start_at_time(const TopicPartition& origin, Epoch epoch, Timestamp time);
    void ask_for_ends(const TopicPartition& origin, Epoch epoch, Offset asked);
    void later(std::function<void()> task);
    void works(const std::string& topic);
    void tell_left();

    const ConsumerContext& context_;
    Subscription subscription_;
    ConsumerListener& listener_;
    ClientPtr client_;
    std::shared_ptr<Strand> lane_;
    Fetcher fetcher_;
    std::map<TopicPartition, Held> held_;
    std::uint64_t last_epoch_ = 0;
    std::uint64_t next_retry_ = 0;
    std::map<std::uint64_t, std::unique_ptr<Timer>> retries_;
    bool closing_ = false;
    bool failed_ = false;
    bool troubled_ = false;
    bool left_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::kafka
