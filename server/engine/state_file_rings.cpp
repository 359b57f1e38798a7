// The dedupe rings in a state file.
#include <algorithm>
#include <cstring>
#include <span>

#include "engine/state_file.hpp"

namespace millrace::engine {
namespace {

struct StoredRing {
    std::int64_t id = 0;
    std::uint32_t capacity = 0;
    std::uint64_t next = 0;
    std::vector<DedupeRing::Written> slots;
};

Result<void> load_slots(sqlite::Statement& query, StoredRing& ring) {
    query.bind(1, ring.id);
    for (;;) {
        auto row = query.step();
        if (!row) return row.error();
        if (!*row) return {};
        const auto bytes = query.blob(1);
        DedupeRing::Written written{static_cast<std::uint32_t>(query.integer(0)), {}};
        std::memcpy(written.identity.bytes.data(), bytes.data(),
                    std::min(bytes.size(), written.identity.bytes.size()));
        ring.slots.push_back(written);
    }
}

}  // namespace

Result<std::unique_ptr<DedupeRing>> StateFile::load_ring(const std::string& topic,
                                                         std::uint32_t capacity) {
    StoredRing stored;
    auto query = statement("SELECT id, capacity, next FROM _rings WHERE topic = ?1");
    if (!query) return query.error();
    (*query)->bind(1, topic);
    auto row = (*query)->step();
    if (!row) return row.error();
    if (*row) {
        stored.id = (*query)->integer(0);
        stored.capacity = static_cast<std::uint32_t>((*query)->integer(1));
        stored.next = static_cast<std::uint64_t>((*query)->integer(2));
        (*query)->reset();
        ring_ids_[topic] = stored.id;
        auto slots = statement("SELECT slot, identity FROM _ring WHERE ring = ?1");
        if (!slots) return slots.error();
        auto loaded = load_slots(**slots, stored);
        if (!loaded) return loaded.error();
    }
    auto ring = std::make_unique<DedupeRing>(capacity);
    if (stored.capacity == capacity) {
        for (const auto& slot : stored.slots) ring->load(slot.slot, slot.identity);
        ring->set_next(stored.next);
        return ring;
    }
    // Another capacity: oldest first into a new ring, so that the newest stay. The rows are written
    // with the next commit.
    auto age = [&](std::uint32_t slot) {
        return (slot + stored.capacity - stored.next % stored.capacity) % stored.capacity;
    };
    std::sort(stored.slots.begin(), stored.slots.end(), [&](const auto& left, const auto& right) {
        return age(left.slot) < age(right.slot);
    });
    for (const auto& slot : stored.slots) ring->insert(slot.identity);
    auto done = begin();
    if (done) done = rewrite_ring(topic, stored.id, capacity, *ring);
    if (done) done = commit();
    if (!done) {
        roll_back();
        return done.error();
    }
    ring->commit();
    return ring;
}

Result<void> StateFile::rewrite_ring(const std::string& topic, std::int64_t stored,
                                     std::uint32_t capacity, const DedupeRing& ring) {
    auto done = database_->execute("DELETE FROM _ring WHERE ring = " + std::to_string(stored));
    if (!done) return done;
    auto made = statement(
        "INSERT INTO _rings(topic, capacity, next) VALUES(?1, ?2, 0)"
        " ON CONFLICT(topic) DO UPDATE SET capacity = excluded.capacity RETURNING id");
    if (!made) return made.error();
    (*made)->bind(1, topic);
    (*made)->bind(2, std::int64_t{capacity});
    auto row = (*made)->step();
    if (!row) return row.error();
    ring_ids_[topic] = (*made)->integer(0);
    (*made)->reset();
    return save_ring(topic, ring);
}

Result<void> StateFile::clear_ring(const std::string& topic) {
    for (const char* sql :
         {"DELETE FROM _ring WHERE ring IN (SELECT id FROM _rings WHERE topic = ?1)",
          "UPDATE _rings SET next = 0 WHERE topic = ?1"}) {
        auto change = statement(sql);
        if (!change) return change.error();
        (*change)->bind(1, topic);
        auto done = (*change)->run();
        if (!done) return done;
    }
    return {};
}

Result<void> StateFile::save_ring(const std::string& topic, const DedupeRing& ring) {
    const auto written = ring.uncommitted();
    if (written.empty()) return {};
    const std::int64_t id = ring_ids_.at(topic);
    auto insert = statement("INSERT OR REPLACE INTO _ring VALUES(?1, ?2, ?3)");
    if (!insert) return insert.error();
    for (const auto& slot : written) {
        (*insert)->bind(1, id);
        (*insert)->bind(2, std::int64_t{slot.slot});
        (*insert)->bind(3, std::span<const std::byte>(slot.identity.bytes));
        auto done = (*insert)->run();
        if (!done) return done;
    }
    auto update = statement("UPDATE _rings SET next = ?2 WHERE id = ?1");
    if (!update) return update.error();
    (*update)->bind(1, id);
    (*update)->bind(2, static_cast<std::int64_t>(ring.next()));
    return (*update)->run();
}

}  // namespace millrace::engine
