#include "events/envelope_rules.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "events/rule_nodes.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

constexpr auto kEnvelope = JsonPath::Allowed::kEnvelope;
constexpr std::int64_t kLargestIdLimit = 64 * 1024;

bool contains(const std::vector<std::string>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

std::vector<JsonPath> paths_of(const ConfigNode& node, std::string_view key) {
    return JsonPath::compile_all(require_member(node, key), kEnvelope);
}

ConfigNode checked_envelope(const ConfigNode& root) {
    require_keys(root, {"version", "limits", "cloudevents", "envelope", "identity", "changes",
                        "places", "kinds"});
    require_member(root, "version").as_integer(1, 1);
    require_keys(require_member(root, "limits"), {"id_bytes"});
    const ConfigNode envelope = require_member(root, "envelope");
    require_keys(envelope, {"body", "event_id", "user_id", "task_id", "timestamp", "event_type",
                            "schema_version"});
    return envelope;
}

std::size_t id_limit(const ConfigNode& root) {
    const ConfigNode limit = require_member(require_member(root, "limits"), "id_bytes");
    return static_cast<std::size_t>(limit.as_integer(36, kLargestIdLimit));
}

PlaceGroups places_of(const ConfigNode& root) {
    const auto changes = root.find("changes");
    return compile_places(require_member(root, "places"),
                          changes ? compile_changes(*changes) : nullptr);
}

// In a pattern `#` stands for digits, and letters are small.
bool fits(std::string_view pattern, std::string_view segment) {
    for (const char expected : pattern) {
        const std::size_t digits =
            std::min(segment.find_first_not_of("0123456789"), segment.size());
        const bool good = expected == '#'
                              ? digits > 0
                              : to_lower(segment.substr(0, 1)) == std::string_view(&expected, 1);
        if (!good) return false;
        segment.remove_prefix(expected == '#' ? digits : 1);
    }
    return segment.empty();
}

// "1", "1.0", "1.0.0", "v1"; 0 if it is none of these.
int major_of_text(std::string_view text) {
    if (text.starts_with('v') || text.starts_with('V')) text.remove_prefix(1);
    int major = 0;
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, major);
    if (error != std::errc{} || major < 1) return 0;
    int parts = 1;
    for (int minor = 0; stop != end; ++parts) {
        if (*stop != '.' || parts == 3) return 0;
        const auto result = std::from_chars(stop + 1, end, minor);
        if (result.ec != std::errc{} || minor < 0) return 0;
        stop = result.ptr;
    }
    return major;
}

int major_of_number(double number) {
    return number >= 1 && number < 1e6 ? static_cast<int>(number) : 0;
}

}  // namespace

TypeRules::TypeRules(const ConfigNode& node) {
    require_keys(node, {"paths", "ignored", "separators", "ignored_segments"});
    paths = paths_of(node, "paths");
    ignored_ = read_words_of(node, "ignored");
    separators_ = require_member(node, "separators").as_string();
    ignored_segments_ = read_words_of(node, "ignored_segments");
}

bool TypeRules::is_ignored(std::string_view full_type) const {
    return contains(ignored_, full_type);
}

std::string_view TypeRules::last_segment(std::string_view full_type) const {
    std::string_view rest = full_type;
    for (;;) {
        const std::size_t separator = rest.find_last_of(separators_);
        if (separator == std::string_view::npos) return rest;
        const std::string_view segment = rest.substr(separator + 1);
        const auto is_version = [segment](const std::string& pattern) {
            return fits(pattern, segment);
        };
        if (!segment.empty() && std::ranges::none_of(ignored_segments_, is_version)) return segment;
        rest = rest.substr(0, separator);
    }
}

VersionRules::VersionRules(const ConfigNode& node) {
    require_keys(node, {"paths", "paths_if_dotted"});
    paths = paths_of(node, "paths");
    if (const auto dotted = node.find("paths_if_dotted")) {
        paths_if_dotted = JsonPath::compile_all(*dotted, kEnvelope);
    }
}

EnvelopeRules::EnvelopeRules(const ConfigNode& root)
    : EnvelopeRules(root, checked_envelope(root)) {}

EnvelopeRules::EnvelopeRules(const ConfigNode& root, const ConfigNode& envelope)
    : max_id_bytes(id_limit(root)),
      cloud_events(require_member(root, "cloudevents")),
      body(JsonPath::compile_all(require_member(envelope, "body"), JsonPath::Allowed::kFields)),
      event_id(paths_of(envelope, "event_id")),
      user_id(paths_of(envelope, "user_id")),
      task_id(paths_of(envelope, "task_id")),
      timestamp(paths_of(envelope, "timestamp")),
      type(require_member(envelope, "event_type")),
      version(require_member(envelope, "schema_version")),
      identity(require_member(root, "identity")),
      kinds(require_member(root, "kinds"), places_of(root)) {}

int major_version(const json::value& value) {
    if (const json::string* text = value.if_string()) return major_of_text(*text);
    if (value.is_int64()) return major_of_number(static_cast<double>(value.get_int64()));
    if (const double* number = value.if_double()) return major_of_number(*number);
    return 0;
}

bool is_dotted(const json::value& value) {
    const json::string* text = value.if_string();
    return text != nullptr && text->find('.') != json::string::npos && major_of_text(*text) > 0;
}

}  // namespace millrace
