// DedupeRing: the identities of the last N applied records of one topic in one shard, to catch a
// producer that sent twice.
//
// A slot number is a sequence modulo N, and the state file holds the table `slot -> identity`
// written in place: an index over random ids would cost three to six times as much. Thread rule:
// the shard's strand.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "events/ids.hpp"

namespace millrace::engine {

class DedupeRing {
public:
    explicit DedupeRing(std::uint32_t capacity);

    // As read from the state file; slots may come in any order.
    void load(std::uint32_t slot, const Identity& identity);
    // Where the next one goes; after loading.
    void set_next(std::uint64_t sequence) { next_ = committed_ = sequence; }

    bool contains(const Identity& identity) const { return slot_of_.contains(identity); }
    // Visible at once, undone by `roll_back`, kept by `commit`.
    void insert(const Identity& identity);

    struct Written {
        std::uint32_t slot;
        Identity identity;
    };
    // What was inserted since the last commit.
    std::vector<Written> uncommitted() const;
    std::uint64_t next() const { return next_; }
    void commit();
    void roll_back();

private:
    struct Undo {
        std::uint32_t slot;
        Identity before;
        bool was_used;
    };
    void put(std::uint32_t slot, const Identity& identity);
    void clear(std::uint32_t slot);

    std::uint32_t capacity_;
    std::vector<Identity> slots_;
    std::vector<bool> used_;
    std::unordered_map<Identity, std::uint32_t, IdentityHash> slot_of_;
    std::uint64_t next_ = 0;
    std::uint64_t committed_ = 0;
    std::vector<Undo> undo_;
};

}  // namespace millrace::engine
