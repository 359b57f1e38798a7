// millrace handlers replay | resume | restart
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "cli/api_client.hpp"
#include "cli/options.hpp"

namespace millrace::cli {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

std::string text_of(const boost::json::object& row, const char* name) {
    const auto* value = row.if_contains(name);
    if (value == nullptr || value->is_null()) return "-";
    return value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value);
}

bool is_held(const boost::json::value& partition) {
    return !partition.as_object().at("held").is_null();
}

void print_partition(const boost::json::object& row) {
    const std::string why = text_of(row, "held");
    std::printf("%s/%s: %s%s\n", text_of(row, "topic").c_str(), text_of(row, "partition").c_str(),
                why == "-" ? "position " : "still held: ",
                why == "-" ? text_of(row, "position").c_str() : why.c_str());
}

// 1 when something is still held after it.
int run(const HandlerCommandOptions& options, const char* command, Parameters parameters) {
    if (!options.topic.empty()) parameters.emplace_back("topic", options.topic);
    if (!options.partition.empty()) parameters.emplace_back("partition", options.partition);
    std::string path = "/v1/admin/handlers/" + percent_encoded(options.handler) + "/" + command;
    char separator = '?';
    for (const auto& [name, value] : parameters) {
        path += separator + name + "=" + percent_encoded(value);
        separator = '&';
    }
    auto answer = ApiClient(options.remote).post(path, "application/json", "");
    if (!answer) return report(answer.error());
    const auto& object = answer->as_object();
    const auto& partitions = object.at("partitions").as_array();
    if (options.remote.json) {
        std::printf("%s\n", boost::json::serialize(*answer).c_str());
    } else {
        std::printf("%s: %s\n", text_of(object, "handler").c_str(),
                    text_of(object, "state").c_str());
        for (const auto& partition : partitions) print_partition(partition.as_object());
    }
    return std::ranges::any_of(partitions, is_held) ? kFailed : kDone;
}

}  // namespace

int replay_handler(const HandlerCommandOptions& options) {
    return run(options, "replay", {{"from", options.from}});
}

int resume_handler(const HandlerCommandOptions& options) {
    Parameters parameters;
    if (options.accept) parameters.emplace_back("decision", "accept");
    if (options.restart) parameters.emplace_back("decision", "restart");
    return run(options, "resume", std::move(parameters));
}

int restart_handler(const HandlerCommandOptions& options) { return run(options, "restart", {}); }

}  // namespace millrace::cli
