// The outbox and the timers in a state file.
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "engine/state_file.hpp"
#include "events/time.hpp"

namespace millrace::engine {
namespace {

std::string headers_to_text(const std::vector<std::pair<std::string, std::string>>& headers) {
    boost::json::array list;
    for (const auto& [name, value] : headers) list.push_back(boost::json::array{name, value});
    return boost::json::serialize(list);
}

std::vector<std::pair<std::string, std::string>> headers_from_text(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> headers;
    boost::system::error_code error;
    const auto list = boost::json::parse(text, error);
    if (error || !list.is_array()) return headers;
    for (const auto& item : list.get_array()) {
        const auto& pair = item.as_array();
        headers.emplace_back(std::string(pair.at(0).as_string()),
                             std::string(pair.at(1).as_string()));
    }
    return headers;
}

void bind_origin(sqlite::Statement& statement, int first, const EffectOrigin& from) {
    statement.bind(first, from.origin.topic);
    statement.bind(first + 1, std::int64_t{from.origin.partition.value});
    statement.bind(first + 2, from.offset.value);
}

EffectOrigin origin_from(const sqlite::Statement& row, int first) {
    return {{std::string(row.text(first)), {static_cast<std::int32_t>(row.integer(first + 1))}},
            {row.integer(first + 2)}};
}

Timestamp time_from(std::int64_t microseconds) {
    return Timestamp(std::chrono::microseconds(microseconds));
}

std::int64_t to_column(Timestamp time) { return time.time_since_epoch().count(); }

template <class Row, class Read>
Result<std::vector<Row>> rows_of(sqlite::Statement& query, Read read) {
    std::vector<Row> rows;
    for (;;) {
        auto row = query.step();
        if (!row) return row.error();
        if (!*row) return rows;
        rows.push_back(read(query));
    }
}

Result<std::int64_t> single_integer(sqlite::Statement& query) {
    auto row = query.step();
    if (!row) return row.error();
    const std::int64_t value = *row ? query.integer(0) : 0;
    query.reset();
    return value;
}

}  // namespace

Result<std::int64_t> StateFile::add_event(const OutboxEvent& event) {
    auto insert =
        statement("INSERT INTO _events VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
    if (!insert) return insert.error();
    auto& row = **insert;
    row.bind(1, last_sequence_ + 1);
    row.bind(2, event.topic);
    row.bind(3, event.key);
    row.bind(4, event.value);
    row.bind(5, event.event_id);
    row.bind(6, event.hops);
    row.bind(7, event.traceparent);
    row.bind(8, to_column(event.created));
    bind_origin(row, 9, event.from);
    auto done = row.run();
    if (!done) return done.error();
    return ++last_sequence_;
}

Result<std::vector<OutboxEvent>> StateFile::events_after(std::int64_t sequence, std::int64_t up_to,
                                                         std::size_t limit) {
    auto query = statement(
        "SELECT * FROM _events WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3");
    if (!query) return query.error();
    (*query)->bind(1, sequence);
    (*query)->bind(2, up_to);
    (*query)->bind(3, static_cast<std::int64_t>(limit));
    return rows_of<OutboxEvent>(**query, [](const sqlite::Statement& row) {
        return OutboxEvent{
            row.integer(0),           std::string(row.text(1)),  std::string(row.text(2)),
            std::string(row.text(3)), std::string(row.text(4)),  row.integer(5),
            std::string(row.text(6)), time_from(row.integer(7)), origin_from(row, 8)};
    });
}

Result<void> StateFile::remove_event(std::int64_t sequence) {
    auto remove = statement("DELETE FROM _events WHERE sequence = ?1");
    if (!remove) return remove.error();
    (*remove)->bind(1, sequence);
    return (*remove)->run();
}

Result<std::vector<EffectOrigin>> StateFile::waiting_event_origins() {
    auto query = statement("SELECT origin_topic, origin_partition, origin_offset FROM _events");
    if (!query) return query.error();
    return rows_of<EffectOrigin>(**query,
                                 [](const sqlite::Statement& row) { return origin_from(row, 0); });
}

Result<std::int64_t> StateFile::add_call(const OutboxCall& call) {
    auto insert = statement(
        "INSERT INTO _calls VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13)");
    if (!insert) return insert.error();
    auto& row = **insert;
    const std::string headers = headers_to_text(call.headers);
    row.bind(1, last_sequence_ + 1);
    row.bind(2, call.id);
    row.bind(3, call.key);
    row.bind(4, call.method);
    row.bind(5, call.url);
    row.bind(6, headers);
    row.bind(7, call.body);
    row.bind(8, call.payload);
    row.bind(9, call.idempotency_key);
    row.bind(10, to_column(call.created));
    bind_origin(row, 11, call.from);
    auto done = row.run();
    if (!done) return done.error();
    return ++last_sequence_;
}

Result<std::vector<OutboxCall>> StateFile::calls_after(std::int64_t sequence, std::int64_t up_to,
                                                       std::size_t limit) {
    auto query = statement(
        "SELECT * FROM _calls WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3");
    if (!query) return query.error();
    (*query)->bind(1, sequence);
    (*query)->bind(2, up_to);
    (*query)->bind(3, static_cast<std::int64_t>(limit));
    return rows_of<OutboxCall>(**query, [](const sqlite::Statement& row) {
        OutboxCall call;
        call.sequence = row.integer(0);
        call.id = row.text(1);
        call.key = row.text(2);
        call.method = row.text(3);
        call.url = row.text(4);
        call.headers = headers_from_text(row.text(5));
        call.body = row.text(6);
        call.payload = row.text(7);
        call.idempotency_key = row.text(8);
        call.created = time_from(row.integer(9));
        call.tries = static_cast<std::uint32_t>(row.integer(10));
        call.from = origin_from(row, 11);
        return call;
    });
}

Result<void> StateFile::save_call_tries(std::int64_t sequence, std::uint32_t tries) {
    auto update = statement("UPDATE _calls SET tries = ?2 WHERE sequence = ?1");
    if (!update) return update.error();
    (*update)->bind(1, sequence);
    (*update)->bind(2, std::int64_t{tries});
    return (*update)->run();
}

Result<void> StateFile::remove_call(std::int64_t sequence) {
    auto remove = statement("DELETE FROM _calls WHERE sequence = ?1");
    if (!remove) return remove.error();
    (*remove)->bind(1, sequence);
    return (*remove)->run();
}

Result<void> StateFile::note_last_sequence() {
    if (last_sequence_ == noted_sequence_) return {};
    noted_sequence_ = last_sequence_;
    return set_meta("last_sequence", std::to_string(last_sequence_));
}

Result<StateFile::Outbox> StateFile::outbox() {
    auto query = statement(
        "SELECT (SELECT count(*) FROM _events) + (SELECT count(*) FROM _calls),"
        " ifnull((SELECT created FROM _events ORDER BY sequence LIMIT 1), 0),"
        " ifnull((SELECT created FROM _calls ORDER BY sequence LIMIT 1), 0)");
    if (!query) return query.error();
    auto row = (*query)->step();
    if (!row) return row.error();
    const std::int64_t events = (*query)->integer(1);
    const std::int64_t calls = (*query)->integer(2);
    const Outbox outbox{(*query)->integer(0), events == 0  ? calls
                                              : calls == 0 ? events
                                                           : std::min(events, calls)};
    (*query)->reset();
    return outbox;
}

Result<void> StateFile::set_timer(const TimerRow& timer) {
    auto insert =
        statement("INSERT OR REPLACE INTO _timers VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    if (!insert) return insert.error();
    auto& row = **insert;
    row.bind(1, timer.id);
    row.bind(2, timer.key);
    row.bind(3, to_column(timer.due));
    row.bind(4, timer.payload);
    row.bind(5, ++last_firing_);
    bind_origin(row, 6, timer.from);
    auto done = row.run();
    if (!done) return done;
    return set_meta("last_firing", std::to_string(last_firing_));
}

Result<bool> StateFile::remove_timer(std::string_view id) {
    auto remove = statement("DELETE FROM _timers WHERE id = ?1");
    if (!remove) return remove.error();
    (*remove)->bind(1, id);
    auto done = (*remove)->run();
    if (!done) return done.error();
    return database_->changes() > 0;
}

Result<bool> StateFile::remove_timer_firing(std::string_view id, std::int64_t firing) {
    auto remove = statement("DELETE FROM _timers WHERE id = ?1 AND firing = ?2");
    if (!remove) return remove.error();
    (*remove)->bind(1, id);
    (*remove)->bind(2, firing);
    auto done = (*remove)->run();
    if (!done) return done.error();
    return database_->changes() > 0;
}

Result<std::optional<Timestamp>> StateFile::next_timer_due() {
    auto query = statement("SELECT min(due) FROM _timers");
    if (!query) return query.error();
    auto row = (*query)->step();
    if (!row) return row.error();
    std::optional<Timestamp> due;
    if (*row && !(*query)->is_null(0)) due = time_from((*query)->integer(0));
    (*query)->reset();
    return due;
}

Result<std::vector<TimerRow>> StateFile::timers_due(Timestamp now, std::size_t limit) {
    auto query = statement(
        "SELECT id, key, due, payload, firing, topic, partition, offset FROM _timers WHERE due <= "
        "?1 ORDER BY due, firing LIMIT ?2");
    if (!query) return query.error();
    (*query)->bind(1, to_column(now));
    (*query)->bind(2, static_cast<std::int64_t>(limit));
    return rows_of<TimerRow>(**query, [](const sqlite::Statement& row) {
        return TimerRow{
            std::string(row.text(0)), std::string(row.text(1)), time_from(row.integer(2)),
            std::string(row.text(3)), row.integer(4),           origin_from(row, 5)};
    });
}

Result<std::int64_t> StateFile::timer_count() {
    auto query = statement("SELECT count(*) FROM _timers");
    if (!query) return query.error();
    return single_integer(**query);
}

}  // namespace millrace::engine
