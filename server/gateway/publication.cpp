#include "gateway/publication.hpp"

#include <fmt/format.h>

#include "events/time.hpp"
#include "gateway/encoding.hpp"

namespace millrace::gateway {
namespace {

constexpr std::size_t kBookkeepingBytes =
    240;  // list node, ring slot, shared pointer, strings' heads

std::string number_or_null(const std::optional<Offset>& offset) {
    return offset ? std::to_string(offset->value) : "null";
}

// A byte order mark before the event is passed over by every reader of the log, but has no place
// inside a frame.
std::string_view json_of(const Publication& event) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    std::string_view data = event.data;
    if (data.starts_with(kByteOrderMark)) data.remove_prefix(kByteOrderMark.size());
    return data;
}

std::string frame(const Publication& event, const std::string& cursor) {
    const std::string time = event.time ? json_quoted(format_time(*event.time)) : "null";
    return fmt::format(
        R"({{"type":"event","topic":{},"partition":{},"offset":{},"prev":{},"cursor":"{}","id":{},"time":{},"data":{}}})",
        json_quoted(event.origin->topic), event.origin->partition.value, event.offset.value,
        number_or_null(event.previous), cursor, json_quoted(event.id), time, json_of(event));
}

// One line each, as the format wants it: a line break inside the data begins another `data:` line.
std::string stream_event(const Publication& event, const std::string& cursor) {
    std::string text = fmt::format("id: {}\n", cursor);
    if (!event.type.empty() && event.type.find_first_of("\r\n") == std::string::npos) {
        text += fmt::format("event: {}\n", event.type);
    }
    std::string_view rest = json_of(event);
    while (true) {
        const std::size_t end = rest.find_first_of("\r\n");
        text += fmt::format("data: {}\n", rest.substr(0, end));
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + (rest.substr(end, 2) == "\r\n" ? 2 : 1));
    }
    return text + "\n";
}

std::string encode(const Publication& event, const std::string& cursor, EventForm form) {
    switch (form) {
        case EventForm::kFrame:
            return frame(event, cursor);
        case EventForm::kStream:
            return stream_event(event, cursor);
        case EventForm::kPlain:
            return std::string(json_of(event));
    }
    return {};
}

}  // namespace

Fingerprint Publication::fingerprint() const {
    return {offset, to_epoch_ms(record_timestamp), crc};
}

std::size_t Publication::bytes() const {
    return data.size() + id.size() + type.size() + kBookkeepingBytes;
}

Delivery::Delivery(PublicationPtr publication, std::string cursor)
    : publication_(std::move(publication)), cursor_(std::move(cursor)) {}

std::shared_ptr<const std::string> Delivery::text(EventForm form) const {
    auto& text = texts_[static_cast<std::size_t>(form)];
    if (!text) text = std::make_shared<const std::string>(encode(*publication_, cursor_, form));
    return text;
}

}  // namespace millrace::gateway
