// EmbeddedTransport: the default transport: a durable log in SQLite inside this process, with
// topics, partitions, offsets, groups and retention.
//
// Thread rule and errors: as transport.hpp says; all disk work runs on the log's own thread.
// Ownership: the Runtime outlives it. Destroying it without `close` is like a crash: what was
// confirmed is there at the next start. One process at a time may have a directory open.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "core/runtime.hpp"
#include "transport/embedded/appender.hpp"
#include "transport/embedded/commit_table.hpp"
#include "transport/embedded/group.hpp"
#include "transport/embedded/log_view.hpp"
#include "transport/embedded/store_strand.hpp"
#include "transport/embedded/subscriber.hpp"
#include "transport/transport.hpp"

namespace millrace {

class EmbeddedTransport final : public Transport {
public:
    // `directory` is made if it is not there; `vfs` names a registered SQLite file system, empty:
    // the operating system's. `free_bytes` stands in for the disk's free space, empty: ask the
    // disk.
    EmbeddedTransport(Runtime& runtime, const EmbeddedSection& limits, std::string directory,
                      std::string vfs = {}, std::function<std::uint64_t()> free_bytes = {});
    ~EmbeddedTransport() override;

    std::string name() const override { return "embedded"; }
    void open(const std::vector<TopicSpec>& topics, Callback<Result<void>> done) override;
    Result<std::unique_ptr<Consumer>> subscribe(const Subscription& subscription,
                                                ConsumerListener& listener) override;
    void publish(std::vector<OutgoingRecord> records, Origin origin,
                 Callback<std::vector<Result<RecordPosition>>> done) override;
    void cluster_id(Callback<Result<std::string>> done) override;
    void topics(Callback<Result<std::vector<TopicInfo>>> done) override;
    void watermarks(const TopicPartition& origin, Callback<Result<Watermarks>> done) override;
    void offset_at(const TopicPartition& origin, Timestamp time,
                   Callback<Result<Offset>> done) override;
    void read(const TopicPartition& origin, Offset offset, std::size_t limit,
              Callback<Result<RecordBatchPtr>> done) override;
    std::optional<std::string> trouble() const override;
    void close(std::function<void()> done) override;

private:
    class Handle;

    void opened(Result<embedded::OpenedLog> log, const Callback<Result<void>>& done);
    void assign_broadcast(const std::shared_ptr<embedded::Subscriber>& subscriber);
    void wake_subscribers();
    void leave(const std::shared_ptr<embedded::Subscriber>& subscriber);
    void schedule_upkeep();
    void upkeep();
    Error unknown(const TopicPartition& origin) const;

    embedded::StoreStrand store_;
    embedded::LogView view_;
    embedded::CommitTable commits_;
    embedded::Appender appender_;
    embedded::SubscriberContext context_;
    embedded::Groups groups_;
    std::vector<std::shared_ptr<embedded::Subscriber>> subscribers_;
    std::string cluster_id_;
    std::vector<std::string> missing_;  // segment files
    std::optional<std::string> not_open_ = "the embedded log is not open yet";
    std::unique_ptr<Timer> upkeep_timer_;
};

}  // namespace millrace
