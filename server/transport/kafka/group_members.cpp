#include "transport/kafka/group_members.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

EventPtr describe(rd_kafka_t* client, const std::string& group, milliseconds timeout) {
    const AdminOptionsPtr options(
        rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS));
    std::array<char, 256> reason{};
    rd_kafka_AdminOptions_set_request_timeout(options.get(), static_cast<int>(timeout.count()),
                                              reason.data(), reason.size());
    const QueuePtr answers(rd_kafka_queue_new(client));
    std::array<const char*, 1> groups{group.c_str()};
    rd_kafka_DescribeConsumerGroups(client, groups.data(), groups.size(), options.get(),
                                    answers.get());
    return EventPtr(rd_kafka_queue_poll(answers.get(), static_cast<int>(2 * timeout.count())));
}

GroupMember member_of(const rd_kafka_MemberDescription_t* member) {
    const char* instance = rd_kafka_MemberDescription_group_instance_id(member);
    if (instance == nullptr || *instance == 0)
        instance = rd_kafka_MemberDescription_consumer_id(member);
    const char* host = rd_kafka_MemberDescription_host(member);
    return {instance, host == nullptr ? "" : host};
}

}  // namespace

Result<std::vector<GroupMember>> query_members(rd_kafka_t* client, const std::string& group,
                                               milliseconds timeout) {
    const EventPtr event = describe(client, group, timeout);
    const std::string doing = "asking who is in the group " + group;
    if (!event) return error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, doing);
    if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_of(rd_kafka_event_error(event.get()), doing);
    std::size_t count = 0;
    const auto* const* groups = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(event.get()), &count);
    std::vector<GroupMember> members;
    for (const auto* description : std::span(groups, count)) {
        const auto* error = rd_kafka_ConsumerGroupDescription_error(description);
        const auto code = rd_kafka_error_code(error);
        if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) continue;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(code, doing);
        for (std::size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(description);
             ++i)
            members.push_back(member_of(rd_kafka_ConsumerGroupDescription_member(description, i)));
    }
    return members;
}

std::vector<GroupMember> others_than(const std::string& instance,
                                     std::vector<GroupMember> members) {
    std::erase_if(members, [&](const GroupMember& member) {
        return member.instance == instance || member.instance.starts_with(instance + ".");
    });
    std::ranges::sort(members, {}, &GroupMember::instance);
    return members;
}

}  // namespace millrace::kafka
