#include "events/identity_rules.hpp"

#include <algorithm>

#include "events/rule_nodes.hpp"
#include "events/time.hpp"

namespace millrace {
namespace {

const std::vector<std::string> kConditions = {"event_id_present", "event_id_is_uuid",
                                              "event_id_is_not_task_id"};
const std::vector<std::string> kParts = {"event_id",  "event_type", "user_id",
                                         "task_id",   "timestamp",  "value",
                                         "partition", "offset",     "record_timestamp"};

constexpr std::string_view kDomain = "millrace.identity.1";

}  // namespace

IdentityRules::IdentityRules(const ConfigNode& node) {
    const auto items = require_items(node);
    for (const ConfigNode& item : items) rules_.push_back(compile_rule(item));
    if (!rules_.back().conditions.empty()) {
        items.back().error("the last rule must have no `when`: every record needs an identity");
    }
}

IdentityRules::Rule IdentityRules::compile_rule(const ConfigNode& node) {
    require_keys(node, {"when", "of"});
    Rule rule;
    if (const auto when = node.find("when")) {
        for (const ConfigNode& item : require_items(*when)) {
            rule.conditions.push_back(static_cast<Condition>(item.as_choice(kConditions) + 1));
        }
    }
    for (const ConfigNode& item : require_items(require_member(node, "of"))) {
        rule.parts.push_back(static_cast<Part>(item.as_choice(kParts) + 1));
        rule.domain.append(item.as_string()).append(" ");
    }
    return rule;
}

bool IdentityRules::holds(Condition condition, const Envelope& envelope) {
    switch (condition) {
        case Condition::kIdPresent:
            return envelope.event_id.has_value();
        case Condition::kIdIsUuid:
            return envelope.event_id && is_uuid(*envelope.event_id);
        case Condition::kIdIsNotTaskId:
            return envelope.event_id != envelope.task_id;
    }
    return false;
}

const IdentityRules::Rule& IdentityRules::rule_for(const Envelope& envelope) const {
    return *std::ranges::find_if(rules_, [&](const Rule& rule) {
        return std::ranges::all_of(rule.conditions,
                                   [&](Condition condition) { return holds(condition, envelope); });
    });
}

bool IdentityRules::uses_value(const Envelope& envelope) const {
    const Rule& rule = rule_for(envelope);
    return std::ranges::find(rule.parts, Part::kValue) != rule.parts.end();
}

Identity IdentityRules::identify(const Subject& subject) const {
    const Rule& rule = rule_for(subject.envelope);
    IdentityBuilder builder(kDomain);
    builder.add(subject.topic).add(rule.domain);
    for (const Part part : rule.parts) add_part(builder, part, subject);
    return builder.finish();
}

void IdentityRules::add_part(IdentityBuilder& builder, Part part, const Subject& subject) {
    const Envelope& envelope = subject.envelope;
    switch (part) {
        case Part::kEventId: {
            std::string id(envelope.event_id.value_or(""));
            if (is_uuid(id)) id = to_lower(id);
            builder.add(id);
            break;
        }
        case Part::kEventType:
            builder.add(envelope.full_type);
            break;
        case Part::kUserId:
            builder.add(envelope.user_id.value_or(""));
            break;
        case Part::kTaskId:
            builder.add(envelope.task_id.value_or(""));
            break;
        case Part::kTimestamp:
            builder.add(envelope.timestamp ? envelope.timestamp->time_since_epoch().count() : 0);
            break;
        case Part::kValue:
            builder.add(subject.value);
            break;
        case Part::kPartition:
            builder.add(std::int64_t{subject.partition.value});
            break;
        case Part::kOffset:
            builder.add(subject.record.offset.value);
            break;
        case Part::kRecordTimestamp:
            builder.add(to_epoch_ms(subject.record.timestamp));
            break;
    }
}

}  // namespace millrace
