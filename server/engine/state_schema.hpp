// The host's tables in a shard's state file, by version. Append a step; never change one that was
// released.
#pragma once

namespace millrace::engine {

inline constexpr const char* kStateSteps[] = {
    // 1
    "CREATE TABLE _origins(topic TEXT NOT NULL, partition INTEGER NOT NULL, watermark INTEGER NOT "
    "NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL, acked INTEGER NOT NULL, skipped INTEGER NOT NULL, duplicates INTEGER "
    "NOT NULL,"
    " dead_lettered INTEGER NOT NULL, PRIMARY KEY(topic, partition)) WITHOUT ROWID;"
    "CREATE TABLE _intervals(topic TEXT NOT NULL, partition INTEGER NOT NULL, first INTEGER NOT "
    "NULL, last INTEGER NOT NULL,"
    " PRIMARY KEY(topic, partition, first)) WITHOUT ROWID;"
    "CREATE TABLE _rings(id INTEGER PRIMARY KEY, topic TEXT NOT NULL UNIQUE, capacity INTEGER NOT "
    "NULL, next INTEGER NOT NULL);"
    "CREATE TABLE _ring(ring INTEGER NOT NULL, slot INTEGER NOT NULL, identity BLOB NOT NULL,"
    " PRIMARY KEY(ring, slot)) WITHOUT ROWID;"
    "CREATE TABLE _events(sequence INTEGER PRIMARY KEY, topic TEXT NOT NULL, key TEXT NOT NULL, "
    "value TEXT NOT NULL,"
    " event_id TEXT NOT NULL, hops INTEGER NOT NULL, traceparent TEXT NOT NULL, created INTEGER "
    "NOT NULL,"
    " origin_topic TEXT NOT NULL, origin_partition INTEGER NOT NULL, origin_offset INTEGER NOT "
    "NULL);"
    "CREATE TABLE _calls(sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, key TEXT NOT NULL, method "
    "TEXT NOT NULL, url TEXT NOT NULL,"
    " headers TEXT NOT NULL, body TEXT NOT NULL, payload TEXT NOT NULL, idempotency_key TEXT NOT "
    "NULL, created INTEGER NOT NULL,"
    " tries INTEGER NOT NULL, origin_topic TEXT NOT NULL, origin_partition INTEGER NOT NULL, "
    "origin_offset INTEGER NOT NULL);"
    "CREATE TABLE _timers(id TEXT PRIMARY KEY, key TEXT NOT NULL, due INTEGER NOT NULL, payload "
    "TEXT NOT NULL,"
    " firing INTEGER NOT NULL, topic TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX _timers_due ON _timers(due);",
    // 2
    "CREATE TABLE _attempts(input TEXT PRIMARY KEY, attempt INTEGER NOT NULL, first_attempt "
    "INTEGER "
    "NOT NULL,"
    " first_failure INTEGER NOT NULL, last_failure INTEGER NOT NULL, next INTEGER NOT NULL, class "
    "TEXT NOT NULL,"
    " message TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE _inbox(sequence INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT "
    "NULL,"
    " offset INTEGER NOT NULL, timestamp INTEGER NOT NULL, key BLOB, value BLOB, headers BLOB NOT "
    "NULL,"
    " redrives INTEGER NOT NULL);",
    // 3
    "ALTER TABLE _timers ADD COLUMN partition INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE _timers ADD COLUMN offset INTEGER NOT NULL DEFAULT -1;",
    // 4
    "ALTER TABLE _attempts ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;"
    "UPDATE _attempts SET spent = max(0, next - first_attempt);"
    "ALTER TABLE _attempts DROP COLUMN first_attempt;",
};

}  // namespace millrace::engine
