#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "core/config/node.hpp"
#include "events/json.hpp"
#include "events/schema_node.hpp"

namespace millrace {
namespace {

namespace json = boost::json;
using Node = Schema::Node;

constexpr std::string_view kDraft = "https://json-schema.org/draft/2020-12/schema";
constexpr std::string_view kDefinitionPrefix = "#/$defs/";

struct NamedType {
    std::string_view name;
    std::uint32_t bit;
};
constexpr NamedType kTypes[] = {{"null", kTypeNull},       {"boolean", kTypeBoolean},
                                {"integer", kTypeInteger}, {"number", kTypeNumber},
                                {"string", kTypeString},   {"array", kTypeArray},
                                {"object", kTypeObject}};

struct NamedFormat {
    std::string_view name;
    JsonFormat format;
};
constexpr NamedFormat kFormats[] = {
    {"uuid", JsonFormat::kUuid}, {"date-time", JsonFormat::kDateTime}, {"date", JsonFormat::kDate}};

std::string join(const std::string& pointer, std::string_view name) {
    return pointer + pointer_segment(name);
}

class Compiler {
public:
    explicit Compiler(std::string file) : file_(std::move(file)) {}

    std::unique_ptr<Node> compile(const json::value& root) {
        if (!root.is_object()) refuse("", "a schema file holds a JSON object");
        auto node = schema(root, "");
        for (const auto& [from, pointer, name] : references_) {
            const auto found = node->definitions.find(name);
            if (found == node->definitions.end()) refuse(pointer, "names no member of $defs");
            from->reference = found->second.get();
        }
        for (const Node* start : nodes_) refuse_endless(start, start, 0);
        return node;
    }

private:
    struct Reference {
        Node* from;
        std::string pointer;
        std::string name;
    };
    using Keyword = void (Compiler::*)(Node&, const json::value&, const std::string&);

    [[noreturn]] void refuse(const std::string& pointer, std::string_view what) const {
        throw ConfigError(fmt::format("{}: {}: {}", file_, pointer.empty() ? "/" : pointer, what));
    }

    // A schema that refers to itself without going down into the value would never end.
    void refuse_endless(const Node* start, const Node* node, std::size_t steps) const {
        const auto follow = [&](const Node* next) {
            if (next == nullptr) return;
            if (next == start || steps > nodes_.size()) refuse("", "a $ref refers to itself");
            refuse_endless(start, next, steps + 1);
        };
        follow(node->reference);
        for (const auto& alternative : node->any_of) follow(alternative.get());
    }

    std::unique_ptr<Node> schema(const json::value& value, const std::string& pointer) {
        auto node = std::make_unique<Node>();
        nodes_.push_back(node.get());
        if (value.is_bool()) {
            node->never = !value.get_bool();
            return node;
        }
        if (!value.is_object()) refuse(pointer, "a schema is an object, true or false");
        for (const auto& member : value.get_object()) {
            const auto keyword = keywords().find(member.key());
            const std::string at = join(pointer, member.key());
            if (keyword == keywords().end()) {
                refuse(at, "is a keyword this server does not know (docs/SCHEMAS.md lists them)");
            }
            (this->*keyword->second)(*node, member.value(), at);
        }
        return node;
    }

    static const std::map<std::string, Keyword, std::less<>>& keywords() {
        static const std::map<std::string, Keyword, std::less<>> table = {
            {"$schema", &Compiler::draft},
            {"$id", &Compiler::annotation},
            {"$comment", &Compiler::annotation},
            {"title", &Compiler::annotation},
            {"description", &Compiler::annotation},
            {"default", &Compiler::annotation},
            {"examples", &Compiler::annotation},
            {"$defs", &Compiler::definitions},
            {"$ref", &Compiler::reference},
            {"type", &Compiler::type},
            {"properties", &Compiler::properties},
            {"required", &Compiler::required},
            {"additionalProperties", &Compiler::additional},
            {"items", &Compiler::items},
            {"anyOf", &Compiler::any_of},
            {"enum", &Compiler::enumeration},
            {"const", &Compiler::constant},
            {"minLength", &Compiler::min_length},
            {"maxLength", &Compiler::max_length},
            {"minItems", &Compiler::min_items},
            {"maxItems", &Compiler::max_items},
            {"minimum", &Compiler::minimum},
            {"maximum", &Compiler::maximum},
            {"format", &Compiler::format},
        };
        return table;
    }

    const json::object& object(const json::value& value, const std::string& pointer) const {
        if (!value.is_object()) refuse(pointer, "must be an object");
        return value.get_object();
    }

    const json::array& array(const json::value& value, const std::string& pointer) const {
        if (!value.is_array()) refuse(pointer, "must be an array");
        return value.get_array();
    }

    std::string text(const json::value& value, const std::string& pointer) const {
        if (!value.is_string()) refuse(pointer, "must be text");
        return std::string(std::string_view(value.get_string()));
    }

    std::size_t count(const json::value& value, const std::string& pointer) const {
        boost::system::error_code error;
        const auto number = value.to_number<std::uint32_t>(error);
        if (error) refuse(pointer, "must be a whole number from 0 to 4294967295");
        return number;
    }

    long double number(const json::value& value, const std::string& pointer) const {
        if (value.is_int64()) return static_cast<long double>(value.get_int64());
        if (value.is_uint64()) return static_cast<long double>(value.get_uint64());
        if (!value.is_double()) refuse(pointer, "must be a number");
        return static_cast<long double>(value.get_double());
    }

    void annotation(Node&, const json::value&, const std::string&) {}

    void draft(Node&, const json::value& value, const std::string& pointer) {
        if (text(value, pointer) != kDraft) refuse(pointer, fmt::format("must be {}", kDraft));
    }

    void definitions(Node& node, const json::value& value, const std::string& pointer) {
        if (pointer != "/$defs") refuse(pointer, "may stand at the root only");
        for (const auto& member : object(value, pointer)) {
            node.definitions[std::string(member.key())] =
                schema(member.value(), join(pointer, member.key()));
        }
    }

    void reference(Node& node, const json::value& value, const std::string& pointer) {
        const std::string target = text(value, pointer);
        const std::string name =
            target.starts_with(kDefinitionPrefix) ? target.substr(kDefinitionPrefix.size()) : "";
        if (name.empty() || name.find_first_of("/~%") != std::string::npos) {
            refuse(pointer, "must be #/$defs/NAME");
        }
        references_.push_back({&node, pointer, name});
    }

    void type(Node& node, const json::value& value, const std::string& pointer) {
        if (!value.is_array()) return add_type(node, text(value, pointer), pointer);
        for (const auto& item : array(value, pointer)) add_type(node, text(item, pointer), pointer);
        if (node.types == 0) refuse(pointer, "must name a type");
    }

    void add_type(Node& node, const std::string& name, const std::string& pointer) const {
        const auto* found = std::ranges::find(kTypes, std::string_view(name), &NamedType::name);
        if (found == std::end(kTypes)) refuse(pointer, fmt::format("'{}' is not a type", name));
        node.types |= found->bit;
        node.type_names += (node.type_names.empty() ? "" : " or ") + name;
    }

    void properties(Node& node, const json::value& value, const std::string& pointer) {
        for (const auto& member : object(value, pointer)) {
            node.properties.emplace_back(member.key(),
                                         schema(member.value(), join(pointer, member.key())));
        }
    }

    void required(Node& node, const json::value& value, const std::string& pointer) {
        for (const auto& item : array(value, pointer)) node.required.push_back(text(item, pointer));
    }

    void additional(Node& node, const json::value& value, const std::string& pointer) {
        node.additional = schema(value, pointer);
    }

    void items(Node& node, const json::value& value, const std::string& pointer) {
        node.items = schema(value, pointer);
    }

    void any_of(Node& node, const json::value& value, const std::string& pointer) {
        std::size_t index = 0;
        for (const auto& item : array(value, pointer)) {
            node.any_of.push_back(schema(item, join(pointer, std::to_string(index++))));
        }
        if (index == 0) refuse(pointer, "must hold a schema");
    }

    void enumeration(Node& node, const json::value& value, const std::string& pointer) {
        const json::array& values = array(value, pointer);
        if (values.empty()) refuse(pointer, "must hold a value");
        for (const auto& item : values) node.enumeration.emplace_back(item, json::storage_ptr{});
    }

    void constant(Node& node, const json::value& value, const std::string&) {
        node.constant.emplace(value, json::storage_ptr{});
    }

    void min_length(Node& node, const json::value& value, const std::string& pointer) {
        node.min_length = count(value, pointer);
    }
    void max_length(Node& node, const json::value& value, const std::string& pointer) {
        node.max_length = count(value, pointer);
    }
    void min_items(Node& node, const json::value& value, const std::string& pointer) {
        node.min_items = count(value, pointer);
    }
    void max_items(Node& node, const json::value& value, const std::string& pointer) {
        node.max_items = count(value, pointer);
    }
    void minimum(Node& node, const json::value& value, const std::string& pointer) {
        node.minimum = number(value, pointer);
    }
    void maximum(Node& node, const json::value& value, const std::string& pointer) {
        node.maximum = number(value, pointer);
    }

    void format(Node& node, const json::value& value, const std::string& pointer) {
        const std::string name = text(value, pointer);
        const auto* found = std::ranges::find(kFormats, std::string_view(name), &NamedFormat::name);
        if (found == std::end(kFormats)) {
            refuse(pointer, fmt::format("'{}' is not one of uuid, date-time, date", name));
        }
        node.format = found->format;
    }

    std::string file_;
    std::vector<Node*> nodes_;
    std::vector<Reference> references_;
};

}  // namespace

Schema Schema::compile(std::string_view text, const std::string& file_name) {
    json::monotonic_resource arena;
    JsonReader reader(arena);
    const json::value* root = reader.read(text);
    if (root == nullptr) throw ConfigError(fmt::format("{}: {}", file_name, reader.fault()));
    return Schema(Compiler(file_name).compile(*root));
}

}  // namespace millrace
