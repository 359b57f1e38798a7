// ConfigNode: a value of a YAML file that knows its file, line and path, read with errors a person can act on.
//
// yaml-cpp is behind it and nowhere else. Any file of ours that is YAML (millrace.yaml, envelope.yaml) is read through it.
// Thread rule: one thread. Ownership: a cheap handle; the tree is shared. Errors: every reader throws ConfigError, whose
// message is `file:line: key.path: what is wrong, what was expected`, and never shows a secret or the value of a variable.
// `MappingReader` (core/config/mapping_reader.hpp) collects them over a whole file, unknown keys too.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"

namespace millrace {

class ConfigError : public ErrorException {
public:
    explicit ConfigError(std::string message) : ErrorException(Error{ErrorCode::kInvalid, std::move(message)}) {}
};

class ConfigNode {
public:
    enum class Kind { kNull, kScalar, kSequence, kMapping };

    // `${VAR}` and `${VAR:-default}` in scalars are expanded by `lookup` (null: not expanded), `$${` is `${`. A syntax error, a duplicate key
    // and an unset variable without default are ConfigErrors with file:line.
    using Lookup = std::optional<std::string> (*)(const std::string& name);
    static ConfigNode load_file(const std::string& path, Lookup lookup);
    static ConfigNode parse(std::string_view text, const std::string& file_name, Lookup lookup);

    ConfigNode();
    ~ConfigNode();
    ConfigNode(const ConfigNode&);
    ConfigNode(ConfigNode&&) noexcept;
    ConfigNode& operator=(const ConfigNode&);
    ConfigNode& operator=(ConfigNode&&) noexcept;

    Kind kind() const;
    bool is_null() const { return kind() == Kind::kNull; }
    const std::string& path() const;  // "handlers.audit.threads"; empty at the root
    std::string where() const;        // "config/millrace.yaml:42", or "--set", or "environment KAFKA_BROKERS"

    std::string as_string() const;
    bool as_bool() const;
    std::int64_t as_integer(std::int64_t minimum, std::int64_t maximum) const;
    double as_number(double minimum, double maximum) const;
    milliseconds as_duration() const;   // 250ms 10s 5m 2h 7d
    std::uint64_t as_bytes() const;     // 512 64KiB 1MiB 2GiB
    // One of the words; returns its index.
    std::size_t as_choice(const std::vector<std::string>& words) const;

    std::vector<ConfigNode> items() const;                            // of a sequence
    std::vector<std::pair<std::string, ConfigNode>> members() const;  // of a mapping, in file order
    std::optional<ConfigNode> find(std::string_view key) const;       // absent or null: nullopt

    // Sets `dotted.path` to a scalar, or to a list for `[a, b]`, making mappings on the way: `--set` and the environment.
    // `origin` is what `where` says. A key that is there may have dots; below kafka.properties the rest is one key.
    void set(std::string_view dotted_path, std::string_view value, const std::string& origin);

    // The subtree as JSON text: what a plugin receives. Scalars that were not quoted become numbers, booleans and null.
    std::string to_json() const;

    [[noreturn]] void error(const std::string& what) const;
    // error with what is there, unless it is a secret: "is 'x', expected y".
    [[noreturn]] void refuse(const std::string& expected) const;

    struct Impl;

private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace millrace
