#include "core/config/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cctype>
#include <cmath>

#include "core/config/node_impl.hpp"
#include "core/config/units.hpp"
#include "core/text.hpp"

namespace millrace {
namespace {

std::string_view kind_name(ConfigNode::Kind kind) {
    switch (kind) {
        case ConfigNode::Kind::kNull:
            return "is empty";
        case ConfigNode::Kind::kScalar:
            return "is a single value";
        case ConfigNode::Kind::kSequence:
            return "is a list";
        case ConfigNode::Kind::kMapping:
            return "is a mapping";
    }
    return "";
}

bool names_a_secret(std::string_view path) {
    constexpr std::array<std::string_view, 7> kWords{"password",   "passwd", "secret", "token",
                                                     "credential", "sasl",   "private"};
    std::string lower(path);
    std::ranges::transform(lower, lower.begin(), [](char character) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(character)));
    });
    return std::ranges::any_of(
        kWords, [&lower](std::string_view word) { return lower.find(word) != std::string::npos; });
}

bool is_json_number(std::string_view text) {
    if (text.empty() || (text.front() != '-' && (text.front() < '0' || text.front() > '9')))
        return false;
    boost::system::error_code error;
    const auto value = boost::json::parse(text, error);
    return !error && value.is_number();
}

std::string quoted_json(std::string_view text) { return fmt::format("\"{}\"", escape_json(text)); }

std::string join(const std::vector<std::string>& words) {
    std::string joined;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) joined += i + 1 == words.size() ? " or " : ", ";
        joined += words[i];
    }
    return joined;
}

}  // namespace

ConfigNode::Impl::Pointer ConfigNode::Impl::member(std::string_view key) const {
    const auto found =
        std::ranges::find(members, key, [](const auto& entry) { return entry.first; });
    return found == members.end() ? nullptr : found->second;
}

std::string ConfigNode::Impl::child_path(std::string_view key) const {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string ConfigNode::Impl::shown() const {
    if (kind != Kind::kScalar) return std::string(kind_name(kind));
    if (!written.empty()) return fmt::format("is the value of {}", escape_line(written));
    if (names_a_secret(path)) return "is not shown here";
    constexpr std::size_t kMaxShown = 80;
    const std::string_view start = std::string_view(text).substr(0, kMaxShown);
    return fmt::format("is '{}{}'", escape_line(start), start.size() < text.size() ? "..." : "");
}

ConfigNode::ConfigNode() : impl_(std::make_shared<Impl>()) {}
ConfigNode::~ConfigNode() = default;
ConfigNode::ConfigNode(const ConfigNode&) = default;
ConfigNode::ConfigNode(ConfigNode&&) noexcept = default;
ConfigNode& ConfigNode::operator=(const ConfigNode&) = default;
ConfigNode& ConfigNode::operator=(ConfigNode&&) noexcept = default;

ConfigNode::Kind ConfigNode::kind() const { return impl_->kind; }

const std::string& ConfigNode::path() const { return impl_->path; }

std::string ConfigNode::where() const { return impl_->origin; }

void ConfigNode::error(const std::string& what) const {
    config::fail_at(impl_->origin, impl_->path, what);
}

void ConfigNode::refuse(const std::string& expected) const {
    error(fmt::format("{}, expected {}", impl_->shown(), expected));
}

std::string ConfigNode::as_string() const {
    if (impl_->kind != Kind::kScalar) refuse("text");
    return impl_->text;
}

bool ConfigNode::as_bool() const {
    if (impl_->kind == Kind::kScalar && impl_->text == "true") return true;
    if (impl_->kind == Kind::kScalar && impl_->text == "false") return false;
    refuse("true or false");
}

std::int64_t ConfigNode::as_integer(std::int64_t minimum, std::int64_t maximum) const {
    const auto value =
        impl_->kind == Kind::kScalar ? config::parse_integer(impl_->text) : std::nullopt;
    if (value && *value >= minimum && *value <= maximum) return *value;
    refuse(fmt::format("a whole number from {} to {}", minimum, maximum));
}

double ConfigNode::as_number(double minimum, double maximum) const {
    const auto value =
        impl_->kind == Kind::kScalar ? config::parse_number(impl_->text) : std::nullopt;
    if (value && *value >= minimum && *value <= maximum) return *value;
    refuse(fmt::format("a number from {} to {}", minimum, maximum));
}

milliseconds ConfigNode::as_duration() const {
    const auto value =
        impl_->kind == Kind::kScalar ? config::parse_duration(impl_->text) : std::nullopt;
    if (value) return *value;
    refuse("a duration with its unit: 250ms 10s 5m 2h 7d");
}

std::uint64_t ConfigNode::as_bytes() const {
    const auto value =
        impl_->kind == Kind::kScalar ? config::parse_bytes(impl_->text) : std::nullopt;
    if (value) return *value;
    refuse("a size: 512 64KiB 1MiB 2GiB");
}

std::size_t ConfigNode::as_choice(const std::vector<std::string>& words) const {
    if (impl_->kind == Kind::kScalar) {
        const auto found = std::ranges::find(words, impl_->text);
        if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    }
    refuse(join(words));
}

std::vector<ConfigNode> ConfigNode::items() const {
    if (impl_->kind == Kind::kNull) return {};
    if (impl_->kind != Kind::kSequence) refuse("a list");
    std::vector<ConfigNode> nodes(impl_->items.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i].impl_ = impl_->items[i];
    return nodes;
}

std::vector<std::pair<std::string, ConfigNode>> ConfigNode::members() const {
    if (impl_->kind == Kind::kNull) return {};
    if (impl_->kind != Kind::kMapping) refuse("a mapping of keys to values");
    std::vector<std::pair<std::string, ConfigNode>> nodes(impl_->members.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        nodes[i].first = impl_->members[i].first;
        nodes[i].second.impl_ = impl_->members[i].second;
    }
    return nodes;
}

std::optional<ConfigNode> ConfigNode::find(std::string_view key) const {
    if (impl_->kind == Kind::kNull) return std::nullopt;
    if (impl_->kind != Kind::kMapping) refuse("a mapping of keys to values");
    const auto member = impl_->member(key);
    if (member == nullptr || member->kind == Kind::kNull) return std::nullopt;
    ConfigNode found;
    found.impl_ = member;
    return found;
}

std::string ConfigNode::to_json() const {
    std::string json;
    switch (impl_->kind) {
        case Kind::kNull:
            return "null";
        case Kind::kScalar: {
            const std::string& text = impl_->text;
            const bool plain =
                !impl_->quoted && (text == "true" || text == "false" || is_json_number(text));
            return plain ? text : quoted_json(text);
        }
        case Kind::kSequence:
            for (const ConfigNode& item : items())
                json += fmt::format("{}{}", json.empty() ? "" : ",", item.to_json());
            return fmt::format("[{}]", json);
        case Kind::kMapping:
            for (const auto& [key, value] : members())
                json += fmt::format("{}{}:{}", json.empty() ? "" : ",", quoted_json(key),
                                    value.to_json());
            return fmt::format("{{{}}}", json);
    }
    return json;
}

}  // namespace millrace
