// EventDecoder: one record's value into one DecodedEvent; lives as long as the decoding of a batch.
//
// One thread. What it makes lives in the batch's arena. Errors: an event says by its status and
// fault what is wrong with it.
#pragma once

#include <string_view>
#include <vector>

#include "events/envelope.hpp"
#include "events/envelope_rules.hpp"
#include "events/json.hpp"

namespace millrace {

class EventDecoder {
public:
    EventDecoder(const EnvelopeRules& rules, const TopicRules& topic, const TopicPartition& origin,
                 boost::json::monotonic_resource& arena);

    DecodedEvent decode(const Record& record);

private:
    const boost::json::value* parse(const Record& record, DecodedEvent& event);
    void find_body(EventSources& sources);
    void read_envelope(const EventSources& sources, DecodedEvent& event);
    void read_type(const EventSources& sources, Envelope& envelope);
    std::string_view lower(std::string_view text);
    std::optional<std::string_view> read_id(const std::vector<JsonPath>& paths,
                                            const EventSources& sources, DecodedEvent& event);
    void check_version(const EventSources& sources, DecodedEvent& event);
    void check_schema(const boost::json::value& value, DecodedEvent& event);
    void identify(const CloudEventStack& stack, DecodedEvent& event);

    // The first fault stays, but for an unknown version: what it means is not ours to judge.
    void refuse(DecodedEvent& event, EventStatus status, std::string_view fault);

    const EnvelopeRules& rules_;
    const TopicRules& topic_;
    const TopicPartition& origin_;
    boost::json::monotonic_resource& arena_;
    JsonReader reader_;
};

}  // namespace millrace
