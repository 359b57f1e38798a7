#include "cli/plugin_sheet.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "cli/table.hpp"
#include "core/config/units.hpp"

namespace millrace::cli {
namespace {

using plugins::Plugin;

const Row kOptionHead = {"OPTION", "TYPE", "DEFAULT", "LIMITS", "DESCRIPTION"};
const Row kQuestionHead = {"QUESTION", "PARAMETERS", "DESCRIPTION"};

const char* text_of(const char* text) { return text == nullptr ? "" : text; }

const char* type_of(const millrace_option& option) {
    switch (option.type) {
        case MILLRACE_OPTION_INTEGER:
            return "integer";
        case MILLRACE_OPTION_NUMBER:
            return "number";
        case MILLRACE_OPTION_BOOLEAN:
            return "boolean";
        case MILLRACE_OPTION_DURATION:
            return "duration";
        case MILLRACE_OPTION_CHOICE:
            return "choice";
        case MILLRACE_OPTION_LIST:
            return "list";
        default:
            return "text";
    }
}

bool has(const millrace_option& option, std::uint32_t flag) { return (option.flags & flag) != 0; }

std::string default_of(const millrace_option& option) {
    if (has(option, MILLRACE_OPTION_IS_REQUIRED)) return "required";
    if (option.default_value == nullptr) return "none";
    return *option.default_value == '\0' ? "\"\"" : option.default_value;
}

std::string limit_of(const millrace_option& option, double limit) {
    return option.type == MILLRACE_OPTION_DURATION
               ? config::format_duration(milliseconds(std::llround(limit)))
               : fmt::format("{}", limit);
}

std::string replace_all(std::string text, char from, std::string_view to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, 1, to);
    return text;
}

std::string limits_of(const millrace_option& option) {
    if (option.type == MILLRACE_OPTION_CHOICE) return replace_all(option.choices, '|', ", ");
    if (option.minimum >= option.maximum) return "";
    if (std::isinf(option.maximum))
        return fmt::format("at least {}", limit_of(option, option.minimum));
    if (std::isinf(option.minimum))
        return fmt::format("at most {}", limit_of(option, option.maximum));
    return fmt::format("{} to {}", limit_of(option, option.minimum),
                       limit_of(option, option.maximum));
}

std::vector<Row> option_rows(const Plugin& plugin) {
    std::vector<Row> rows;
    for (const millrace_option& option : plugin.options()) {
        const std::string type = fmt::format(
            "{}{}", type_of(option), has(option, MILLRACE_OPTION_IS_SECRET) ? ", secret" : "");
        rows.push_back({option.name, type, default_of(option), limits_of(option),
                        text_of(option.description)});
    }
    return rows;
}

std::string parameters_of(const millrace_question& question) {
    if (question.parameters == nullptr) return "any";
    return *question.parameters == '\0' ? "none" : replace_all(question.parameters, '|', ", ");
}

std::vector<Row> question_rows(const Plugin& plugin) {
    std::vector<Row> rows;
    for (const millrace_question& question : plugin.questions())
        rows.push_back({question.name, parameters_of(question), text_of(question.description)});
    return rows;
}

const char* subscription_of(const Plugin& plugin) {
    return plugin.traits().broadcast ? "broadcast: every server sees every record"
                                     : "group: the servers of a cluster share the partitions";
}
const char* input_of(const Plugin& plugin) {
    return plugin.traits().raw ? "raw: key, value and headers" : "event: the envelope is read";
}

// Cells as they are, but for what would end one.
std::string markdown_table(const Row& head, const std::vector<Row>& rows) {
    const auto line = [](const Row& row) {
        std::string text = "|";
        for (const std::string& cell : row) text += " " + replace_all(cell, '|', "\\|") + " |";
        return text + "\n";
    };
    std::string text = line(head) + "|";
    for (std::size_t i = 0; i < head.size(); ++i) text += "---|";
    text += "\n";
    for (const Row& row : rows) text += line(row);
    return text;
}

boost::json::array json_options(const Plugin& plugin) {
    boost::json::array all;
    for (const millrace_option& option : plugin.options()) {
        boost::json::object object{{"name", option.name},
                                   {"type", type_of(option)},
                                   {"default", nullptr},
                                   {"required", has(option, MILLRACE_OPTION_IS_REQUIRED)},
                                   {"secret", has(option, MILLRACE_OPTION_IS_SECRET)},
                                   {"limits", limits_of(option)},
                                   {"description", text_of(option.description)}};
        if (option.default_value != nullptr) object["default"] = option.default_value;
        all.push_back(std::move(object));
    }
    return all;
}

boost::json::array json_questions(const Plugin& plugin) {
    boost::json::array all;
    for (const millrace_question& question : plugin.questions()) {
        boost::json::object object{{"name", question.name},
                                   {"parameters", nullptr},
                                   {"description", text_of(question.description)}};
        if (question.parameters != nullptr) {
            const auto& names = plugin.traits().parameters.at(question.name);
            object["parameters"] = boost::json::array(names.begin(), names.end());
        }
        all.push_back(std::move(object));
    }
    return all;
}

}  // namespace

std::string state_of(const Plugin& plugin) {
    switch (plugin.traits().state) {
        case engine::StateKind::kPerUser:
            return fmt::format("per user, version {}", plugin.traits().state_version);
        case engine::StateKind::kPerPartition:
            return fmt::format("per partition, version {}", plugin.traits().state_version);
        case engine::StateKind::kNone:
            return "none";
    }
    return {};
}

std::string interface_of(const Plugin& plugin) {
    return fmt::format("{}.{}", plugin.api().abi_major, plugin.api().abi_minor);
}

void print_sheet(const Plugin& plugin) {
    std::printf("%s %s: %s\n\n", plugin.name().c_str(), plugin.version().c_str(),
                plugin.description().c_str());
    const std::vector<std::pair<const char*, std::string>> facts = {
        {"file", plugin.file()},
        {"sha256", plugin.digest()},
        {"interface", fmt::format("{}; this server speaks {}.{}", interface_of(plugin),
                                  MILLRACE_ABI_MAJOR, MILLRACE_ABI_MINOR)},
        {"state", state_of(plugin)},
        {"subscription", subscription_of(plugin)},
        {"input", input_of(plugin)},
        {"symbols", fmt::format("{}", fmt::join(plugin.exports(), ", "))}};
    for (const auto& [name, value] : facts) std::printf("%-13s %s\n", name, value.c_str());
    std::printf("\n");
    if (plugin.options().empty())
        std::printf("It has no options.\n");
    else
        print_table(kOptionHead, option_rows(plugin));
    if (plugin.questions().empty()) return;
    std::printf("\n");
    print_table(kQuestionHead, question_rows(plugin));
}

boost::json::object json_sheet(const Plugin& plugin) {
    return {{"name", plugin.name()},
            {"version", plugin.version()},
            {"description", plugin.description()},
            {"file", plugin.file()},
            {"sha256", plugin.digest()},
            {"interface", interface_of(plugin)},
            {"state", state_of(plugin)},
            {"subscription", plugin.traits().broadcast ? "broadcast" : "group"},
            {"input", plugin.traits().raw ? "raw" : "event"},
            {"topics",
             boost::json::array(plugin.traits().topics.begin(), plugin.traits().topics.end())},
            {"symbols", boost::json::array(plugin.exports().begin(), plugin.exports().end())},
            {"options", json_options(plugin)},
            {"questions", json_questions(plugin)}};
}

std::string markdown_sheet(const Plugin& plugin) {
    std::string text = fmt::format("## {} {}\n\n{}\n\nState: {}. Subscription: {}.\n",
                                   plugin.name(), plugin.version(), plugin.description(),
                                   state_of(plugin), subscription_of(plugin));
    if (!plugin.options().empty())
        text += "\n" + markdown_table({"option", "type", "default", "limits", "what it is"},
                                      option_rows(plugin));
    if (!plugin.questions().empty())
        text += "\n" + markdown_table({"question", "parameters", "what it answers"},
                                      question_rows(plugin));
    return text;
}

boost::json::object json_rejection(const plugins::Rejection& rejection) {
    return {{"file", rejection.file}, {"reason", rejection.reason}, {"message", rejection.message}};
}

boost::json::array json_rejections(const plugins::PluginSet& set) {
    boost::json::array rejections;
    for (const auto& rejection : set.rejections()) rejections.push_back(json_rejection(rejection));
    return rejections;
}

}  // namespace millrace::cli
