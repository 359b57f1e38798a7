// IdentityRules: what makes two records of one topic the same event; ordered rules, the first whose
// conditions hold.
//
// Immutable, any thread. Errors: compiling throws ConfigError with file:line. The results are in
// state files: an identity is made of the topic, the names of the rule's parts and the parts, and
// nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.hpp"
#include "events/envelope.hpp"

namespace millrace {

class IdentityRules {
public:
    explicit IdentityRules(const ConfigNode& node);

    struct Subject {
        const std::string& topic;
        Partition partition;
        const Record& record;
        const Envelope& envelope;
        std::string_view value;  // the event without what a CloudEvent wraps around it
    };
    Identity identify(const Subject& subject) const;

    // Whether some rule hashes the value.
    bool uses_value(const Envelope& envelope) const;

private:
    enum class Condition { kIdPresent = 1, kIdIsUuid, kIdIsNotTaskId };
    enum class Part {
        kEventId = 1,
        kEventType,
        kUserId,
        kTaskId,
        kTimestamp,
        kValue,
        kPartition,
        kOffset,
        kRecordTimestamp
    };
    struct Rule {
        std::vector<Condition> conditions;
        std::vector<Part> parts;
        std::string domain;
    };

    static Rule compile_rule(const ConfigNode& node);
    static bool holds(Condition condition, const Envelope& envelope);
    static void add_part(IdentityBuilder& builder, Part part, const Subject& subject);
    const Rule& rule_for(const Envelope& envelope) const;

    std::vector<Rule> rules_;
};

}  // namespace millrace
