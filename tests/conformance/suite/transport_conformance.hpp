// The conformance suite: what every transport must do, written against transport/transport.hpp and
// nothing else.
//
// A transport takes part by deriving from TransportFixture and one line:
//
//     INSTANTIATE_TEST_SUITE_P(embedded, TransportConformance, testing::Values(Candidate{...}),
//     candidate_name);
//
// Everything runs on the test's thread, which is the loop thread.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conformance/suite/loop_driver.hpp"
#include "transport/transport.hpp"

namespace millrace::conformance {

// What a transport can be asked to show. Each `false` is reported as a skipped test with this
// reason.
struct Capabilities {
    bool rebalance = true;  // several members of one group
    bool members_share_transport =
        false;  // they are consumers of one Transport; else each has a Transport of its own
    bool restart = true;                 // a Transport made anew finds what the one before it wrote
    bool refuses_large_records = true;   // above the topic's limit, 1 MiB by default
    bool start_at_time = true;           // knows which record was the first after a time
    bool commits_while_revoking = true;  // takes commits of partitions that are being given up
};

// One log that transports are made for; it lives as long as a test.
class TransportFixture {
public:
    virtual ~TransportFixture() = default;
    // Set: nothing is run, and this is shown.
    virtual std::optional<std::string> skip_reason() { return std::nullopt; }
    virtual Capabilities capabilities() const { return {}; }
    // A Transport that is not open yet. `member` tells processes of one group apart (0, 1); the
    // same member again is the same process after a restart.
    virtual std::unique_ptr<Transport> make(int member) = 0;
};

struct Candidate {
    std::string name;
    std::function<std::unique_ptr<TransportFixture>(AsioRuntime&)> make;
    std::chrono::milliseconds patience{15'000};  // for each thing a test waits for
};

inline void PrintTo(const Candidate& candidate, std::ostream* out) { *out << candidate.name; }
inline std::string candidate_name(const testing::TestParamInfo<Candidate>& info) {
    return info.param.name;
}

// A copy of a record, so that it can be compared after its batch has gone.
struct Received {
    TopicPartition origin;
    Offset offset;
    Timestamp timestamp;
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::vector<std::pair<std::string, std::string>> headers;
};

std::vector<Received> copy_records(const RecordBatch& batch);

// Starts every partition that it is given, and notes all that it is told.
class RecordingListener final : public ConsumerListener {
public:
    void on_assigned(Epoch epoch, const std::vector<Assigned>& partitions) override;
    void on_revoked(Epoch epoch, const std::vector<TopicPartition>& partitions,
                    std::function<void()> done) override;
    void on_lost(Epoch epoch, const std::vector<TopicPartition>& partitions) override;
    void on_batch(RecordBatchPtr batch) override;
    void on_end(const TopicPartition& origin, Epoch epoch, Offset end) override;
    void on_out_of_range(const TopicPartition& origin, Epoch epoch, Offset asked,
                         Watermarks log) override;
    void on_failed(const Error& error) override;

    std::vector<Received> of(const TopicPartition& origin) const;
    bool at_end(const TopicPartition& origin, Offset end) const;
    std::set<std::string> values() const;

    Consumer* consumer = nullptr;
    // Where to begin; unset: at the committed position, else at the earliest.
    std::function<StartPosition(const Assigned&)> start_at;
    std::function<void(const RecordBatch&)> when_batch;
    std::function<void(const std::vector<TopicPartition>&)> when_revoked;  // before `done`

    std::map<TopicPartition, Assigned> assigned;
    std::vector<Received> records;
    std::vector<RecordBatchPtr> batches;
    std::map<TopicPartition, std::vector<Offset>> ends;
    std::vector<std::pair<TopicPartition, Offset>> out_of_range;
    Watermarks out_of_range_log;
    std::vector<Error> failures;
    std::size_t callbacks = 0;
    std::size_t stale = 0;  // came for a partition or an epoch that was not assigned

private:
    void check(const TopicPartition& origin, Epoch epoch);
    std::map<TopicPartition, Epoch> epochs_;
};

// A consumer with its listener; closed before it is destroyed.
struct Reader {
    RecordingListener listener;
    std::unique_ptr<Consumer> consumer;
};

class TransportConformance : public testing::TestWithParam<Candidate> {
protected:
    TransportConformance();
    ~TransportConformance() override;
    void SetUp() override;
    void TearDown() override;

    // Opens the first member's transport on these topics. Names are made unique: a broker keeps
    // them.
    void open(std::vector<TopicSpec> topics);
    static TopicSpec topic(std::string name, int partitions = 1);
    std::unique_ptr<Transport> make_open(int member);
    void close(std::unique_ptr<Transport>& transport);
    // Made unique to this test.
    std::string unique(const std::string& name) const;
    TopicPartition at(const std::string& topic, int partition) const;

    OutgoingRecord record(const std::string& topic, int partition, std::string value) const;
    std::vector<Result<RecordPosition>> publish(std::vector<OutgoingRecord> records);
    // `count` records with the values "<prefix>0", "<prefix>1"...; each must be confirmed.
    void publish_numbered(const std::string& topic, int partition, int count,
                          const std::string& prefix = "");

    Subscription subscription(const std::string& group, const std::string& topic) const;
    std::unique_ptr<Reader> prepare() const { return std::make_unique<Reader>(); }
    void subscribe(Reader& reader, const Subscription& subscription,
                   Transport* transport = nullptr);
    std::unique_ptr<Reader> read_all(const std::string& group, const std::string& topic);
    void close(Reader& reader);
    std::string cluster_id();
    Watermarks watermarks(const TopicPartition& origin);
    Result<RecordBatchPtr> read_page(const TopicPartition& origin, Offset offset,
                                     std::size_t limit);

    [[nodiscard]] bool run_until(const std::function<bool()>& happened) {
        return driver_.run_until(happened);
    }
    const Capabilities& capabilities() const { return capabilities_; }

    LoopDriver driver_;
    std::unique_ptr<TransportFixture> fixture_;
    std::unique_ptr<Transport> transport_;

private:
    Capabilities capabilities_;
    std::vector<TopicSpec> topics_;
    std::string suffix_;
};

}  // namespace millrace::conformance
