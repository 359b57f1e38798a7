// YAML text to ConfigNode's tree.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "core/config/node_impl.hpp"

namespace millrace {
namespace {

constexpr std::size_t kMaxFileBytes = 4U << 20;
// Anchors can make a small file a large tree.
constexpr std::size_t kMaxNodes = 100'000;
constexpr std::size_t kMaxDepth = 64;

class TreeBuilder {
public:
    TreeBuilder(std::string file, ConfigNode::Lookup lookup)
        : file_(std::move(file)), lookup_(lookup) {}

    using Impl = ConfigNode::Impl;

    Impl::Pointer build(const YAML::Node& node, int line, const std::string& path,
                        std::size_t depth) {
        auto made = std::make_shared<Impl>();
        made->origin = origin(line);
        made->path = path;
        if (++count_ > kMaxNodes)
            config::fail_at(made->origin, path,
                            fmt::format("the file has more than {} values", kMaxNodes));
        if (depth > kMaxDepth)
            config::fail_at(made->origin, path, fmt::format("is nested deeper than {}", kMaxDepth));
        if (node.IsScalar()) fill_scalar(*made, node);
        if (node.IsSequence()) fill_sequence(*made, node, depth);
        if (node.IsMap()) fill_mapping(*made, node, depth);
        return made;
    }

    std::string origin(int line) const { return fmt::format("{}:{}", file_, line + 1); }

private:
    void fill_scalar(Impl& made, const YAML::Node& node) const {
        const std::string& tag = node.Tag();
        made.quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
        if (!made.quoted && !tag.empty() && tag != "?")
            config::fail_at(made.origin, made.path,
                            fmt::format("has the tag {}; tags are not understood here", tag));
        made.kind = ConfigNode::Kind::kScalar;
        made.text = node.Scalar();
        if (lookup_ == nullptr || made.text.find("${") == std::string::npos) return;
        made.written = made.text;
        made.text = config::expand(made.text, lookup_, made.origin, made.path);
        if (made.text.empty() && !made.quoted) made.kind = ConfigNode::Kind::kNull;
    }

    void fill_sequence(Impl& made, const YAML::Node& node, std::size_t depth) {
        made.kind = ConfigNode::Kind::kSequence;
        for (const YAML::Node& item : node) {
            made.items.push_back(build(item, item.Mark().line,
                                       fmt::format("{}[{}]", made.path, made.items.size()),
                                       depth + 1));
        }
    }

    void fill_mapping(Impl& made, const YAML::Node& node, std::size_t depth) {
        made.kind = ConfigNode::Kind::kMapping;
        for (const auto& entry : node) {
            const int line = entry.first.Mark().line;
            if (!entry.first.IsScalar())
                config::fail_at(origin(line), made.path, "has a key that is not text");
            const std::string& key = entry.first.Scalar();
            if (const auto earlier = made.member(key))
                config::fail_at(origin(line), earlier->path,
                                fmt::format("is given twice, first at {}", earlier->origin));
            made.members.emplace_back(key,
                                      build(entry.second, line, made.child_path(key), depth + 1));
        }
    }

    std::string file_;
    ConfigNode::Lookup lookup_;
    std::size_t count_ = 0;
};

bool is_name_character(char character) {
    return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
}

// What stands between `${` and `}`.
std::string expand_one(std::string_view inside, ConfigNode::Lookup lookup,
                       const std::string& origin, const std::string& path) {
    const std::size_t split = inside.find(":-");
    const std::string name(inside.substr(0, split));
    if (name.empty() || !std::ranges::all_of(name, is_name_character))
        config::fail_at(origin, path,
                        fmt::format("'${{{}}}' is not understood, expected ${{NAME}} or "
                                    "${{NAME:-default}}",
                                    inside));
    const auto value = lookup(name);
    const bool has_default = split != std::string_view::npos;
    if (value && !(value->empty() && has_default)) return *value;
    if (has_default) return std::string(inside.substr(split + 2));
    config::fail_at(origin, path,
                    fmt::format("the environment variable {} is not set; set it, or write "
                                "${{{}:-default}}",
                                name, name));
}

// Only where documents begin.
class DocumentStarts final : public YAML::EventHandler {
public:
    std::vector<int> lines;

    void OnDocumentStart(const YAML::Mark& mark) override { lines.push_back(mark.line + 1); }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
};

// YAML::LoadAll makes documents without end of some texts: two are asked for, one is allowed.
void check_single_document(const std::string& text, const std::string& file) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentStarts starts;
    if (!parser.HandleNextDocument(starts) || !parser.HandleNextDocument(starts)) return;
    throw ConfigError(fmt::format("{}:{}: a second YAML document begins here, expected one", file,
                                  starts.lines.back()));
}

YAML::Node load_document(const std::string& text, const std::string& file) {
    try {
        check_single_document(text, file);
        return YAML::Load(text);
    } catch (const YAML::Exception& error) {
        throw ConfigError(fmt::format("{}:{}: not YAML: {}", file, error.mark.line + 1, error.msg));
    }
}

}  // namespace

void config::fail_at(const std::string& origin, const std::string& path, const std::string& what) {
    throw ConfigError(path.empty() ? fmt::format("{}: {}", origin, what)
                                   : fmt::format("{}: {}: {}", origin, path, what));
}

std::string config::expand(std::string_view text, ConfigNode::Lookup lookup,
                           const std::string& origin, const std::string& path) {
    std::string out;
    for (;;) {
        const std::size_t start = text.find("${");
        if (start == std::string_view::npos) return out + std::string(text);
        const bool escaped = start > 0 && text[start - 1] == '$';
        out += text.substr(0, start);
        text.remove_prefix(start + 2);
        if (escaped) {
            out += '{';
            continue;
        }
        const std::size_t end = text.find('}');
        if (end == std::string_view::npos)
            fail_at(origin, path, "'${' has no '}'; write '$${' for the characters themselves");
        out += expand_one(text.substr(0, end), lookup, origin, path);
        text.remove_prefix(end + 1);
    }
}

ConfigNode ConfigNode::parse(std::string_view text, const std::string& file_name, Lookup lookup) {
    if (text.size() > kMaxFileBytes)
        throw ConfigError(fmt::format("{}: is larger than {} bytes", file_name, kMaxFileBytes));
    const YAML::Node document = load_document(std::string(text), file_name);
    ConfigNode root;
    root.impl_ = TreeBuilder(file_name, lookup).build(document, 0, "", 0);
    return root;
}

ConfigNode ConfigNode::load_file(const std::string& path, Lookup lookup) {
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open() || std::filesystem::is_directory(path))
        throw ConfigError(
            fmt::format("{}: cannot be read: does it exist, and may this user read it?", path));
    const std::string text(std::istreambuf_iterator<char>(file), {});
    return parse(text, path, lookup);
}

}  // namespace millrace
