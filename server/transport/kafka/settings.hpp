// Settings: from the `kafka` section of the configuration to librdkafka's properties, one set for
// each kind of client.
//
// Immutable after construction; any thread. The constructor throws ErrorException for a property
// that librdkafka does not know or that is not for a user to set: the guarantees stand on those.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/config/server_config.hpp"
#include "core/result.hpp"
#include "transport/kafka/handles.hpp"

namespace millrace::kafka {

class Settings {
public:
    // `installation_id` makes the static id of a group's member; empty: members are dynamic.
    Settings(KafkaSection section, std::string installation_id);

    const KafkaSection& section() const { return section_; }

    ConfPtr producer() const;
    // Membership only: it fetches nothing. `member` tells apart several members that one process
    // has in a group.
    // group.instance.id; empty: members are dynamic.
    std::string instance_id(std::string_view group) const;
    ConfPtr member(std::string_view group, int member) const;
    // Fetches what it is told to, without membership. `partitions` share the prefetch budget.
    ConfPtr fetcher(std::string_view group, std::size_t partitions) const;

private:
    ConfPtr base() const;
    ConfPtr consumer(std::string_view group) const;

    KafkaSection section_;
    std::string installation_id_;
};

}  // namespace millrace::kafka
