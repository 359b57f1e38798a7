// CommitTable: what every group has committed, and the commits that wait for the disk: one
// transaction for all groups every 50 ms, the last position of each partition wins.
//
// Thread rule: loop thread. Ownership: by the EmbeddedTransport. A failed write is logged and tried
// again; `committed` shows durable positions only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/runtime.hpp"
#include "core/types.hpp"
#include "transport/embedded/catalog.hpp"
#include "transport/embedded/store_strand.hpp"

namespace millrace::embedded {

class CommitTable {
public:
    explicit CommitTable(StoreStrand& store) : store_(store) {}

    void load(const std::vector<CommittedOffset>& offsets);
    std::optional<Offset> committed(const std::string& group, const TopicPartition& origin) const;
    void commit(const std::string& group, const TopicPartition& origin, Offset position);
    // Calls back, later, when what was committed so far is durable or has failed once more.
    void flush(std::function<void()> done);
    const std::optional<std::string>& trouble() const { return trouble_; }

private:
    using Key = std::pair<std::string, TopicPartition>;
    void flush_after(milliseconds delay);
    void finish(Result<void> written, std::vector<CommittedOffset> offsets);

    StoreStrand& store_;
    std::map<Key, Offset> durable_;
    std::map<Key, Offset> waiting_;
    std::unique_ptr<Timer> timer_;
    std::optional<std::string> trouble_;
};

}  // namespace millrace::embedded
