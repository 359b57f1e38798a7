// `millrace topics list`, `handlers list` and `query`: answers of the API as tables.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <cstdio>

#include "cli/api_client.hpp"
#include "cli/table.hpp"

namespace millrace::cli {
namespace {

std::string text_of(const boost::json::value& value) {
    if (value.is_null()) return "-";
    if (value.is_string()) return std::string(value.get_string());
    if (value.is_double()) return fmt::format("{:.1f}", value.get_double());
    return boost::json::serialize(value);
}

std::string member(const boost::json::object& object, const char* name) {
    const auto* value = object.if_contains(name);
    return value == nullptr ? "-" : text_of(*value);
}

std::int64_t total(const boost::json::object& handler, const char* what) {
    std::int64_t sum = 0;
    for (const auto& partition : handler.at("partitions").as_array()) {
        const auto& value = partition.as_object().at(what);
        if (value.is_number()) sum += value.to_number<std::int64_t>();
    }
    return sum;
}

void print_handler_notes(const boost::json::object& handler) {
    const std::string name = member(handler, "handler");
    if (const std::string reason = member(handler, "reason"); !reason.empty() && reason != "-")
        std::printf("%s: %s\n", name.c_str(), reason.c_str());
    for (const auto& held : handler.at("held").as_array())
        std::printf("%s: held: %s\n", name.c_str(), text_of(held).c_str());
    for (const auto& partition : handler.at("partitions").as_array()) {
        const auto& row = partition.as_object();
        if (!row.at("held").is_null()) {
            std::printf("%s: %s/%s: %s\n", name.c_str(), member(row, "topic").c_str(),
                        member(row, "partition").c_str(), member(row, "held").c_str());
        }
    }
}

bool is_table(const boost::json::value& value) {
    if (!value.is_array() || value.as_array().empty()) return false;
    return std::ranges::all_of(value.as_array(), [](const auto& row) { return row.is_object(); });
}

// The columns are those of the first row.
void print_rows(const boost::json::array& items) {
    Row head;
    for (const auto& cell : items.front().as_object()) head.emplace_back(cell.key());
    std::vector<Row> rows;
    for (const auto& item : items) {
        Row row;
        for (const auto& name : head) row.push_back(member(item.as_object(), name.c_str()));
        rows.push_back(std::move(row));
    }
    print_table(head, rows);
}

// Single values as lines, lists of objects as tables, and which shards answered only if not all
// did.
void print_answer(const boost::json::value& answer) {
    if (!answer.is_object()) {
        std::printf("%s\n", boost::json::serialize(answer).c_str());
        return;
    }
    for (const auto& member : answer.as_object()) {
        const auto& value = member.value();
        const std::string name(member.key());
        if (name == "shards" && value.is_object()) {
            const auto* elsewhere = value.as_object().if_contains("elsewhere");
            if (elsewhere != nullptr && *elsewhere != boost::json::array())
                std::printf("elsewhere: %s\n", text_of(*elsewhere).c_str());
        } else if (!is_table(value)) {
            std::printf("%s: %s\n", name.c_str(), text_of(value).c_str());
        }
    }
    for (const auto& member : answer.as_object()) {
        if (is_table(member.value())) print_rows(member.value().as_array());
    }
}

}  // namespace

int list_topics(const Remote& remote) {
    auto answer = ApiClient(remote).get("/v1/topics");
    if (!answer) return report(answer.error());
    if (remote.json) {
        std::printf("%s\n", boost::json::serialize(*answer).c_str());
        return kDone;
    }
    std::vector<Row> rows;
    for (const auto& item : answer->as_object().at("topics").as_array()) {
        const auto& topic = item.as_object();
        std::int64_t records = 0;
        for (const auto& partition : topic.at("partitions").as_array()) {
            const auto& row = partition.as_object();
            if (row.at("high").is_number() && row.at("low").is_number())
                records += row.at("high").to_number<std::int64_t>() -
                           row.at("low").to_number<std::int64_t>();
        }
        rows.push_back({member(topic, "name"),
                        std::to_string(topic.at("partitions").as_array().size()),
                        std::to_string(records)});
    }
    print_table({"TOPIC", "PARTITIONS", "RECORDS"}, rows);
    return kDone;
}

int list_handlers(const Remote& remote) {
    auto answer = ApiClient(remote).get("/v1/handlers");
    if (!answer) return report(answer.error());
    if (remote.json) {
        std::printf("%s\n", boost::json::serialize(*answer).c_str());
        return kDone;
    }
    std::vector<Row> rows;
    const auto& handlers = answer->as_object().at("handlers").as_array();
    for (const auto& item : handlers) {
        const auto& handler = item.as_object();
        const auto& totals = handler.at("totals").as_object();
        rows.push_back({member(handler, "handler"),
                        member(handler, "plugin") + " " + member(handler, "version"),
                        member(handler, "state"),
                        std::to_string(handler.at("partitions").as_array().size()),
                        std::to_string(total(handler, "lag_records")), member(totals, "acked"),
                        member(totals, "skipped"), member(totals, "retries"),
                        member(totals, "dead_lettered")});
    }
    print_table({"HANDLER", "PLUGIN", "STATE", "PARTITIONS", "LAG", "ACKED", "SKIPPED", "RETRIES",
                 "DEAD LETTERS"},
                rows);
    for (const auto& item : handlers) print_handler_notes(item.as_object());
    return kDone;
}

int query(const QueryOptions& options) {
    std::string path = "/v1/handlers/" + percent_encoded(options.handler) + "/" +
                       percent_encoded(options.question);
    char separator = '?';
    for (const auto& parameter : options.parameters) {
        const auto equals = parameter.find('=');
        if (equals == std::string::npos || equals == 0) {
            std::fprintf(stderr, "millrace: '%s' is not key=value\n", parameter.c_str());
            return kWrongUsage;
        }
        path += separator + percent_encoded(parameter.substr(0, equals)) + "=" +
                percent_encoded(parameter.substr(equals + 1));
        separator = '&';
    }
    auto answer = ApiClient(options.remote).get(path);
    if (!answer) return report(answer.error());
    if (options.remote.json || isatty(STDOUT_FILENO) == 0)
        std::printf("%s\n", boost::json::serialize(*answer).c_str());
    else
        print_answer(*answer);
    return kDone;
}

}  // namespace millrace::cli
