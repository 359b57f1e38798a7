#include "position.hpp"

#include <charconv>

namespace audit {
namespace {

bool read_number(std::string_view text, std::int64_t& value) {
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    return fault == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string_view take_part(std::string_view& text) {
    const std::size_t end = text.find('~');
    const std::string_view part = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return part;
}

}  // namespace

Partition Partition::of_shard(std::string_view shard) {
    const std::size_t dash = shard.rfind('-');
    Partition partition;
    if (dash == std::string_view::npos || !read_number(shard.substr(dash + 1), partition.number)) {
        throw std::runtime_error("the shard '" + std::string(shard) +
                                 "' is not a partition: audit keeps its state by partition");
    }
    partition.topic = shard.substr(0, dash);
    return partition;
}

std::string Position::to_cursor() const {
    return std::to_string(time) + '~' + std::to_string(partition.number) + '~' +
           std::to_string(sequence) + '~' + partition.topic;
}

Position Position::from_cursor(std::string_view cursor) {
    Position position;
    std::string_view rest = cursor;
    const bool read = read_number(take_part(rest), position.time) &&
                      read_number(take_part(rest), position.partition.number) &&
                      read_number(take_part(rest), position.sequence) && !rest.empty();
    if (!read)
        throw millrace::BadParameter("'cursor' is not one that an earlier page gave as `next`");
    position.partition.topic = rest;
    return position;
}

Position Position::of_item(const millrace::Json& item) {
    const auto number = [&item](const char* name) { return item.find(name)->integer().value(); };
    const std::string_view time = item.text_or("timestamp", item.text_or("received_at", ""));
    return {millrace::to_microseconds(millrace::parse_time(time).value()),
            {std::string(item.text_or("topic", "")), number("partition")},
            number("sequence")};
}

}  // namespace audit
