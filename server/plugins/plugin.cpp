#include "plugins/plugin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>

#include "plugins/host_services.hpp"
#include "plugins/options.hpp"

namespace millrace::plugins {
namespace {

// The table of 0.1, the shortest there is.
constexpr std::size_t kShortestTable =
    offsetof(millrace_plugin_api, stop) + sizeof(millrace_plugin_api::stop);
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
    if (api.subscription != MILLRACE_GROUP && api.subscription != MILLRACE_BROADCAST) {
        return fmt::format("`subscription` is {}, which this server does not know",
                           api.subscription);
    }
    if (api.input != MILLRACE_EVENT && api.input != MILLRACE_RAW) {
        return fmt::format("`input` is {}, which this server does not know", api.input);
    }
    if (api.subscription == MILLRACE_BROADCAST && api.state != MILLRACE_STATE_NONE)
        return "a broadcast handler needs `state` none";
    if (api.input == MILLRACE_RAW && api.state == MILLRACE_STATE_PER_USER) {
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

std::string check_questions(const millrace_plugin_api& api) {
    if (api.question_count > kMaxNames || (api.question_count > 0 && api.questions == nullptr))
        return "`questions` is not a table";
    for (std::size_t i = 0; i < api.question_count; ++i) {
        if (!is_name(api.questions[i])) return fmt::format("question {} has no proper name", i);
        const char* given =
            api.question_parameters == nullptr ? nullptr : api.question_parameters[i];
        for (const std::string& name : split_names(given == nullptr ? "" : given)) {
            if (!is_name(name.c_str()))
                return fmt::format("question '{}' has a parameter without a proper name",
                                   api.questions[i]);
        }
    }
    return {};
}

std::string check_names(const millrace_plugin_api& api) {
    if (api.option_count > kMaxNames || (api.option_count > 0 && api.options == nullptr))
        return "`options` is not a table";
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
         {check_identity, check_kind, check_callbacks, check_questions, check_names}) {
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
      description_(api.description == nullptr ? "" : api.description) {
    traits_.state = to_state(api.state);
    traits_.broadcast = api.subscription == MILLRACE_BROADCAST;
    traits_.raw = api.input == MILLRACE_RAW;
    traits_.state_version = api.state_version;
    traits_.plugin = api.name;
    traits_.version = api.version;
    traits_.questions.assign(api.questions, api.questions + api.question_count);
    for (std::size_t i = 0; api.question_parameters != nullptr && i < api.question_count; ++i) {
        if (api.question_parameters[i] != nullptr)
            traits_.parameters[api.questions[i]] = split_names(api.question_parameters[i]);
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
    if (given->struct_size < kShortestTable) {
        return Rejection{library.file, "short_table",
                         fmt::format("its table of callbacks has {} bytes of at least {}",
                                     given->struct_size, kShortestTable)};
    }
    millrace_plugin_api api{};
    std::memcpy(&api, given, std::min(given->struct_size, sizeof api));
    if (std::string fault = check_table(api); !fault.empty())
        return Rejection{library.file, "table", std::move(fault)};
    return std::shared_ptr<const Plugin>(new Plugin(library, api));
}

}  // namespace millrace::plugins
