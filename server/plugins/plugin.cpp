#include "plugins/plugin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "plugins/host_services.hpp"
#include "plugins/options.hpp"
#include "plugins/received.hpp"

namespace millrace::plugins {
namespace {

constexpr std::size_t kMaxNames = 1'000;  // options, questions

bool is_name(const char* name) {
    if (name == nullptr) return false;
    const std::string_view text(name);
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

std::string check_identity(const millrace_plugin_api& api) {
    if (!is_name(api.name)) return "`name` must be lower case letters, digits, _ and -";
    if (api.version == nullptr || *api.version == '\0') return "`version` is missing";
    return {};
}

std::string check_kind(const millrace_plugin_api& api) {
    if (api.state < MILLRACE_STATE_PER_USER || api.state > MILLRACE_STATE_NONE) {
        return fmt::format("`state` is {}, which this server does not know", api.state);
    }
    if (api.subscription != MILLRACE_SUBSCRIPTION_GROUP &&
        api.subscription != MILLRACE_SUBSCRIPTION_BROADCAST) {
        return fmt::format("`subscription` is {}, which this server does not know",
                           api.subscription);
    }
    if (api.input != MILLRACE_INPUT_EVENT && api.input != MILLRACE_INPUT_RAW) {
        return fmt::format("`input` is {}, which this server does not know", api.input);
    }
    if (api.subscription == MILLRACE_SUBSCRIPTION_BROADCAST && api.state != MILLRACE_STATE_NONE)
        return "a broadcast handler needs `state` none";
    if (api.input == MILLRACE_INPUT_RAW && api.state == MILLRACE_STATE_PER_USER) {
        return "raw input has no user: `state` cannot be per_user";
    }
    if (api.state == MILLRACE_STATE_NONE && api.state_version > 0)
        return "`state_version` without state";
    return {};
}

std::string check_callbacks(const millrace_plugin_api& api) {
    if (api.create == nullptr) return "`create` is missing";
    if (api.destroy == nullptr) return "`destroy` is missing";
    if (api.on_message == nullptr) return "`on_message` is missing";
    if (api.state_version > 0 && api.migrate == nullptr) return "`state_version` needs `migrate`";
    if (api.question_count > 0 && api.on_query == nullptr) return "`questions` need `on_query`";
    return {};
}

// "user|limit"
std::vector<std::string> split_names(std::string_view text) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const std::size_t bar = std::min(text.find('|'), text.size());
        names.emplace_back(text.substr(0, bar));
        text.remove_prefix(std::min(bar + 1, text.size()));
    }
    return names;
}

// Before a table is looked into.
template <class T>
std::string check_bounds(const char* name, const T* first, std::size_t count, std::size_t size) {
    if (count == 0) return {};
    if (count > kMaxNames || first == nullptr) return fmt::format("`{}s` is not a table", name);
    if (size >= kFirstSize<T>) return {};
    return fmt::format("`{0}_size` is {1}, it must be sizeof(millrace_{0})", name, size);
}

std::string check_questions(const millrace_plugin_api& api) {
    std::set<std::string_view> seen;
    for (const millrace_question& question : std::span(api.questions, api.question_count)) {
        if (!is_name(question.name))
            return fmt::format("question {} has no proper name", seen.size());
        if (!seen.insert(question.name).second)
            return fmt::format("question '{}' stands there twice", question.name);
        for (const std::string& name :
             split_names(question.parameters == nullptr ? "" : question.parameters)) {
            if (!is_name(name.c_str()))
                return fmt::format("question '{}' has a parameter without a proper name",
                                   question.name);
        }
    }
    return {};
}

std::string check_options(const millrace_plugin_api& api) {
    std::set<std::string_view> seen;
    for (const millrace_option& option : std::span(api.options, api.option_count)) {
        if (!is_name(option.name)) return fmt::format("option {} has no proper name", seen.size());
        if (!seen.insert(option.name).second)
            return fmt::format("option '{}' stands there twice", option.name);
        if (auto fault = check_option(option); !fault.empty()) return fault;
    }
    return {};
}

std::string check_table(const millrace_plugin_api& api) {
    for (const auto check :
         {check_identity, check_kind, check_callbacks, check_questions, check_options}) {
        if (std::string fault = check(api); !fault.empty()) return fault;
    }
    return {};
}

engine::StateKind to_state(std::uint32_t state) {
    if (state == MILLRACE_STATE_PER_USER) return engine::StateKind::kPerUser;
    return state == MILLRACE_STATE_PER_PARTITION ? engine::StateKind::kPerPartition
                                                 : engine::StateKind::kNone;
}

}  // namespace

Plugin::Plugin(const Library& library, const millrace_plugin_api& api)
    : library_(library),
      api_(api),
      options_(receive_table(api.options, api.option_count, api.option_size)),
      questions_(receive_table(api.questions, api.question_count, api.question_size)) {
    api_.options = options_.data();
    api_.option_size = sizeof(millrace_option);
    api_.questions = questions_.data();
    api_.question_size = sizeof(millrace_question);
}

void Plugin::describe() {
    const millrace_plugin_api& api = api_;
    description_ = api.description == nullptr ? "" : api.description;
    traits_.state = to_state(api.state);
    traits_.broadcast = api.subscription == MILLRACE_SUBSCRIPTION_BROADCAST;
    traits_.raw = api.input == MILLRACE_INPUT_RAW;
    traits_.state_version = api.state_version;
    traits_.plugin = api.name;
    traits_.version = api.version;
    traits_.topics = split_names(api.topics == nullptr ? "" : api.topics);
    for (const millrace_question& question : questions_) {
        traits_.questions.emplace_back(question.name);
        if (question.parameters != nullptr)
            traits_.parameters[question.name] = split_names(question.parameters);
    }
}

Accepted<std::shared_ptr<const Plugin>> Plugin::make(const Library& library) {
    const millrace_plugin_api* given = library.entry(&host_services());
    if (given == nullptr) {
        return Rejection{
            library.file, "refused",
            "refuses this server: built for another version of the interface; build it again"};
    }
    if (given->struct_size < offsetof(millrace_plugin_api, name)) {
        return Rejection{library.file, "short_table", "gives no table of callbacks"};
    }
    if (given->abi_major != MILLRACE_ABI_MAJOR) {
        return Rejection{library.file, "major",
                         fmt::format("is for interface {}.{}, this server speaks {}.{}: build it "
                                     "again with this server's SDK",
                                     given->abi_major, given->abi_minor, MILLRACE_ABI_MAJOR,
                                     MILLRACE_ABI_MINOR)};
    }
    const auto api = receive(given);
    if (!api) {
        return Rejection{library.file, "short_table",
                         fmt::format("its table of callbacks has {} bytes of at least {}",
                                     given->struct_size, kFirstSize<millrace_plugin_api>)};
    }
    for (std::string fault :
         {check_bounds("option", api->options, api->option_count, api->option_size),
          check_bounds("question", api->questions, api->question_count, api->question_size)}) {
        if (!fault.empty()) return Rejection{library.file, "table", std::move(fault)};
    }
    const std::shared_ptr<Plugin> plugin(new Plugin(library, *api));
    if (std::string fault = check_table(plugin->api_); !fault.empty())
        return Rejection{library.file, "table", std::move(fault)};
    plugin->describe();
    return plugin;
}

}  // namespace millrace::plugins
