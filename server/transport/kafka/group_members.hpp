// GroupMembers: who is in a consumer group, by the broker's account.
//
// Thread rule: `query_members` blocks, helper threads only; it ends after its timeout.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/types.hpp"
#include "transport/kafka/handles.hpp"

namespace millrace::kafka {

struct GroupMember {
    std::string instance;  // group.instance.id, else the id that the broker gave
    std::string host;

    friend bool operator==(const GroupMember&, const GroupMember&) = default;
};

// A group that nobody has joined yet has none.
Result<std::vector<GroupMember>> query_members(rd_kafka_t* client, const std::string& group,
                                               milliseconds timeout);

// Those that are not `instance`, nor further members of that installation (`instance`.2 ...),
// ordered by their names.
std::vector<GroupMember> others_than(const std::string& instance, std::vector<GroupMember> members);

}  // namespace millrace::kafka
