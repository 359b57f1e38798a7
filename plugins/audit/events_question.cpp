#include "events_question.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "blocks.hpp"

namespace audit {
namespace {

using millrace::Json;
using millrace::Parameters;

std::int64_t page_size(const Parameters& parameters) {
    return parameters.integer("limit", 1, kLargestPage).value_or(kUsualPage);
}

// The WHERE clause, and its parameters: which of them a question has differs.
class Filter {
public:
    template <class Value>
    void add(std::string_view condition, Value value) {
        const auto place = condition.find('?') + 1;
        values_.push_back(millrace::to_value(value));
        where_ += " AND ";
        where_.append(condition.substr(0, place))
            .append(std::to_string(values_.size()))
            .append(condition.substr(place));
    }
    // For "(time, sequence) < (?, ?)".
    void add_before(std::int64_t time, std::int64_t sequence) {
        add("(time, sequence) < (?, ", time);
        values_.push_back(millrace::to_value(sequence));
        where_ += "?" + std::to_string(values_.size()) + ")";
    }
    void set(std::size_t index, std::int64_t value) { values_[index] = millrace::to_value(value); }
    const std::string& where() const { return where_; }
    std::span<const millrace_value> values() const { return values_; }

private:
    std::string where_;
    std::vector<millrace_value> values_;
};

// Any text as a LIKE pattern that matches what contains it, in either case.
std::string contains_pattern(std::string_view text) {
    std::string pattern = "%";
    for (const char c : text) {
        if (c == '%' || c == '_' || c == '\\') pattern += '\\';
        pattern += c;
    }
    return pattern += '%';
}

std::string to_hex(std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        (text += kDigits[byte >> 4U]) += kDigits[byte & 15U];
    }
    return text;
}

bool is_printable(std::string_view bytes) {
    return std::ranges::all_of(bytes, [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::optional<std::string> time_text(const millrace::Row& row, std::size_t column) {
    return row.is_null(column) ? std::nullopt
                               : std::optional(millrace::format_time(row.time(column)));
}

constexpr std::string_view kColumns =
    "time, topic, partition, offset, event_id, event_type, schema_version, user_id, task_id, "
    "timestamp, received_at, sequence, body, key";

Json to_item(const millrace::Row& row) {
    Json item = Json::object({{"topic", row.text(1)},
                              {"partition", row.integer(2)},
                              {"offset", row.integer(3)},
                              {"event_id", row.text(4)},
                              {"event_type", row.optional_text(5)},
                              {"schema_version", row.integer(6)},
                              {"user_id", row.optional_text(7)},
                              {"task_id", row.optional_text(8)},
                              {"timestamp", time_text(row, 9)},
                              {"received_at", time_text(row, 10)},
                              {"sequence", row.integer(11)},
                              {"body", row.optional_text(12)}});
    // A key is bytes; most are text.
    if (row.is_null(13) || is_printable(row.text(13))) {
        item.set("key", row.optional_text(13));
    } else {
        item.set("key_hex", to_hex(row.text(13)));
    }
    return item;
}

// One shard's part of the answer: the newest rows that match, `wanted` at most.
class Search {
public:
    Search(millrace::Context& context, const Partition& shard, const Parameters& parameters)
        : context_(context),
          user_(parameters.text("user")),
          task_(parameters.text("task")),
          wanted_(static_cast<std::size_t>(page_size(parameters)) + 1) {
        if (const auto from = parameters.time("from")) from_ = millrace::to_microseconds(*from);
        if (const auto to = parameters.time("to")) until_ = millrace::to_microseconds(*to);
        if (const auto text = parameters.text("text")) pattern_ = contains_pattern(*text);
        add_filters(shard, parameters);
        sql_ = "SELECT time, sequence FROM events WHERE TRUE" + filter_.where() +
               " ORDER BY time DESC, sequence DESC LIMIT " + std::to_string(wanted_);
    }

    // Finds which rows they are, and reads those alone.
    std::string run() {
        const std::int64_t whole = context_.integer("SELECT max(last) FROM blocks").value_or(0);
        read_rows(whole, Limits::max());
        context_.query(
            "SELECT last, latest, filter FROM blocks WHERE latest >= ?1 AND earliest < ?2 ORDER BY "
            "latest DESC",
            [this](const millrace::Row& block) {
                if (rows_.size() == wanted_ && rows_.back().time > block.integer(1)) return false;
                if (may_match(BlockFilter(block.text(2)))) {
                    read_rows(block.integer(0) - kBlockRows, block.integer(0));
                }
                return true;
            },
            from_, until_);
        const std::string sql =
            "SELECT " + std::string(kColumns) + " FROM events WHERE sequence = ?1";
        std::string items;
        const auto add = [&items](const millrace::Row& row) {
            to_item(row).write(items += items.empty() ? "" : ",");
        };
        for (const Found& row : rows_) context_.query(sql, add, row.sequence);
        return "{\"items\":[" + items + "]}";
    }

private:
    using Limits = std::numeric_limits<std::int64_t>;
    struct Found {
        std::int64_t time;
        std::int64_t sequence;
        auto operator<=>(const Found&) const = default;
    };

    // The first three are set anew for each stretch of rows.
    void add_filters(const Partition& shard, const Parameters& parameters) {
        filter_.add("sequence > ?", std::int64_t{0});
        filter_.add("sequence <= ?", std::int64_t{0});
        filter_.add("time >= ?", from_);
        if (user_) filter_.add("user_id = ?", *user_);
        if (task_) filter_.add("task_id = ?", *task_);
        if (const auto type = parameters.text("type")) {
            filter_.add("event_type = ?", type->substr(type->rfind('.') + 1));
        }
        if (!pattern_.empty()) filter_.add("body LIKE ? ESCAPE '\\'", std::string_view(pattern_));
        if (const auto cursor = parameters.text("cursor")) {
            go_on_after(Position::from_cursor(*cursor), shard);
        }
        filter_.add("time < ?", until_);
    }

    // Of equal times the partition decides, then the sequence.
    void go_on_after(const Position& cursor, const Partition& shard) {
        if (cursor.time == Limits::max()) return;
        until_ = std::min(until_, cursor.time + 1);
        const auto order = shard <=> cursor.partition;
        if (order < 0) return;
        if (order > 0) {
            until_ = std::min(until_, cursor.time);
        } else {
            filter_.add_before(cursor.time, cursor.sequence);
        }
    }

    bool may_match(const BlockFilter& block) const {
        if (user_ && !block.may_have(BlockFilter::Kind::kUser, *user_)) return false;
        return !task_ || block.may_have(BlockFilter::Kind::kTask, *task_);
    }

    // Rows older than what is already enough need not be looked at.
    void read_rows(std::int64_t after, std::int64_t up_to) {
        filter_.set(0, after);
        filter_.set(1, up_to);
        filter_.set(2, rows_.size() == wanted_ ? std::max(from_, rows_.back().time) : from_);
        context_.query_values(
            sql_,
            [this](const millrace::Row& row) {
                rows_.push_back({row.integer(0), row.integer(1)});
            },
            filter_.values());
        std::ranges::sort(rows_, std::ranges::greater());
        rows_.resize(std::min(rows_.size(), wanted_));
    }

    millrace::Context& context_;
    std::optional<std::string_view> user_;
    std::optional<std::string_view> task_;
    std::int64_t from_ = Limits::min();
    std::int64_t until_ = Limits::max();
    std::string pattern_;
    std::size_t wanted_;
    Filter filter_;
    std::string sql_;
    std::vector<Found> rows_;  // newest first
};

}  // namespace

std::string ask_events(millrace::Context& context, const Partition& shard,
                       const Parameters& parameters) {
    return Search(context, shard, parameters).run();
}

std::string merge_events(const Parameters& parameters, std::span<const std::string_view> answers) {
    std::vector<std::pair<Position, Json>> rows;
    for (const std::string_view answer : answers) {
        const Json parsed = Json::parse(answer);
        for (const Json& item : parsed.find("items")->items())
            rows.emplace_back(Position::of_item(item), item);
    }
    std::ranges::sort(rows, std::ranges::greater(), &std::pair<Position, Json>::first);
    const auto size = static_cast<std::size_t>(page_size(parameters));
    const bool more = rows.size() > size;
    rows.resize(std::min(rows.size(), size));
    std::string items;
    for (const auto& [position, item] : rows) item.write(items += items.empty() ? "" : ",");
    const Json next = more ? Json(rows.back().first.to_cursor()) : Json();
    return "{\"items\":[" + items + "],\"next\":" + next.dump() + "}";
}

}  // namespace audit
