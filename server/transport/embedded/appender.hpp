// Appender: takes what producers publish, and writes it in rounds: all that has gathered while the
// disk was busy goes in one transaction per topic (group commit), and is confirmed after the sync.
//
// Thread rule: loop thread. Ownership: by the EmbeddedTransport. Bounds: max_pending_records and
// max_pending_bytes over all producers; what comes above them is refused with kFull at once, so
// that a producer slows down instead of the memory growing.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "transport/embedded/log_view.hpp"
#include "transport/embedded/store_strand.hpp"
#include "transport/transport.hpp"

namespace millrace::embedded {

class Appender {
public:
    // `appended` is called after each round that has moved an end.
    Appender(StoreStrand& store, LogView& view, const EmbeddedSection& limits,
             std::function<void()> appended);

    void publish(std::vector<OutgoingRecord> records, Origin origin,
                 Callback<std::vector<Result<RecordPosition>>> done);
    // Calls back when everything published so far is decided; what comes later is refused.
    void close(std::function<void()> done);
    // Why the disk refused lately.
    const std::optional<std::string>& trouble() const { return trouble_; }
    void forget_old_trouble(std::chrono::nanoseconds now);

private:
    // One `publish`.
    struct Call {
        std::vector<Result<RecordPosition>> results;
        std::size_t undecided = 0;
        Callback<std::vector<Result<RecordPosition>>> done;
    };
    struct Ticket {
        std::shared_ptr<Call> call;
        std::size_t index = 0;
        std::size_t bytes = 0;
    };
    struct Pending {
        AppendItem item;
        Ticket ticket;
    };

    Result<AppendItem> place(OutgoingRecord& record, Origin origin, std::size_t bytes);
    Result<Partition> partition_of(const OutgoingRecord& record, TopicView& topic) const;
    void write_next_round();
    void finish_round(AppendRound round);
    void note_trouble(const AppendRound& round);
    void decide(Ticket& ticket, Result<RecordPosition> result);

    StoreStrand& store_;
    LogView& view_;
    EmbeddedSection limits_;
    std::function<void()> appended_;
    std::deque<Pending> pending_;
    std::vector<Ticket> writing_;  // of the round on the strand, in the order of its items
    std::size_t records_ = 0;      // pending and being written
    std::size_t bytes_ = 0;
    std::function<void()> closed_;
    bool closing_ = false;
    std::optional<std::string> trouble_;
    std::chrono::nanoseconds trouble_at_{0};
};

}  // namespace millrace::embedded
