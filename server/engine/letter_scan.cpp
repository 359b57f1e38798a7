#include "engine/letter_scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace millrace::engine {
namespace {

constexpr std::size_t kBatch = 500;              // records read at a time
constexpr std::size_t kMaxScanned = 20'000;      // records read for one page
constexpr std::size_t kMaxPageBytes = 8U << 20;  // keys and values of one page

// "0:12-200" into the three numbers.
std::optional<std::array<std::int64_t, 3>> numbers_of(std::string_view text) {
    std::array<std::int64_t, 3> numbers{};
    constexpr std::string_view kAfter = ":-";
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto [end, fault] =
            std::from_chars(text.data(), text.data() + text.size(), numbers.at(i));
        if (fault != std::errc() || numbers.at(i) < 0) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (i == kAfter.size()) break;
        if (!text.starts_with(kAfter[i])) return std::nullopt;
        text.remove_prefix(1);
    }
    return text.empty() ? std::optional(numbers) : std::nullopt;
}

}  // namespace

LetterScan::LetterScan(LetterScanParts parts, LetterQuery query, Callback<Result<LetterPage>> done)
    : parts_(std::move(parts)), query_(std::move(query)), done_(std::move(done)) {}

std::optional<std::vector<LetterScan::Range>> LetterScan::parse(const std::string& cursor) {
    std::vector<Range> ranges;
    for (std::string_view rest = cursor; !rest.empty();) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const auto numbers = numbers_of(rest.substr(0, comma));
        if (!numbers) return std::nullopt;
        const auto [partition, next, end] = *numbers;
        ranges.push_back({{static_cast<std::int32_t>(partition)}, {next}, {end}});
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return ranges;
}

std::string LetterScan::to_text(const std::vector<Range>& ranges) {
    std::string text;
    for (const Range& range : ranges) {
        if (range.next >= range.end) continue;
        text += fmt::format("{}{}:{}-{}", text.empty() ? "" : ",", range.partition.value,
                            range.next.value, range.end.value);
    }
    return text;
}

std::string LetterScan::cursor_at(const std::string& begin, const RecordPosition& letter) {
    std::vector<Range> ranges = parse(begin).value_or(std::vector<Range>());
    // They are read one after the other: those before the letter's have ended.
    const auto found = std::ranges::find(ranges, letter.origin.partition, &Range::partition);
    ranges.erase(ranges.begin(), found);
    if (!ranges.empty()) ranges.front().next = letter.offset;
    return to_text(ranges);
}

void LetterScan::start() {
    if (query_.cursor.empty()) {
        return parts_.transport.topics(
            [self = shared_from_this()](const auto& topics) { self->found_topics(topics); });
    }
    auto ranges = parse(query_.cursor);
    if (!ranges) {
        return fail_with(fail(ErrorCode::kInvalid,
                              fmt::format("cursor '{}' is none: give back the one that came as "
                                          "`next`, or none",
                                          query_.cursor)));
    }
    ranges_ = std::move(*ranges);
    begin();
}

void LetterScan::found_topics(const Result<std::vector<TopicInfo>>& topics) {
    if (!topics) return fail_with(topics.error());
    const auto found = std::ranges::find(*topics, query_.topic, &TopicInfo::name);
    if (found == topics->end())
        return fail_with(
            fail(ErrorCode::kNotFound, fmt::format("the topic {} is not there", query_.topic)));
    ask_ends(found->partitions);
}

void LetterScan::ask_ends(int partitions) {
    asked_ = static_cast<std::size_t>(std::max(partitions, 0));
    for (int i = 0; i < partitions; ++i) ranges_.push_back({{i}, {}, {}});
    if (asked_ == 0) return begin();
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
        parts_.transport.watermarks(
            {query_.topic, ranges_[i].partition},
            [self = shared_from_this(), i](const auto& ends) { self->found_ends(i, ends); });
    }
}

void LetterScan::found_ends(std::size_t index, const Result<Watermarks>& ends) {
    if (ends) {
        ranges_[index].next = ends->low;
        ranges_[index].end = ends->high;
        parts_.strand->post([ledger = parts_.ledger, low = ends->low,
                             origin = TopicPartition{query_.topic, ranges_[index].partition}] {
            if (auto opened = ledger()) (void)(*opened)->forget(origin, low);
        });
    } else {
        error_ = ends.error();
    }
    if (--asked_ > 0) return;
    if (error_) return fail_with(*error_);
    begin();
}

void LetterScan::begin() {
    page_.begin = to_text(ranges_);
    step();
}

void LetterScan::step() {
    if (error_) return fail_with(*error_);
    const auto left =
        std::ranges::find_if(ranges_, [](const Range& range) { return range.next < range.end; });
    if (left == ranges_.end() || is_full() || scanned_ >= kMaxScanned) return finish();
    read(*left);
}

void LetterScan::read(Range& range) {
    const TopicPartition origin{query_.topic, range.partition};
    parts_.transport.read(origin, range.next, kBatch,
                          [self = shared_from_this(), &range](const Result<RecordBatchPtr>& batch) {
                              if (!batch) return self->fail_with(batch.error());
                              if ((*batch)->records.empty()) {  // what is left are no records
                                  range.next = range.end;
                                  return self->step();
                              }
                              self->parts_.strand->post([self, &range, records = *batch] {
                                  self->take(range, records);
                                  self->parts_.runtime.loop().post([self] { self->step(); });
                              });
                          });
}

// On the strand.
void LetterScan::take(Range& range, const RecordBatchPtr& batch) {
    auto ledger = parts_.ledger();
    if (!ledger) {
        error_ = ledger.error();
        return;
    }
    const auto decoded = parts_.reader.decode(batch);
    for (const DecodedEvent& event : decoded->events) {
        const Offset offset = event.record->offset;
        if (offset < range.next) continue;
        if (offset >= range.end) range.next = range.end;
        if (offset >= range.end || is_full()) return;
        range.next = offset.next();
        ++scanned_;
        Letter letter = read_letter(event, batch->origin);
        if (!query_.filter.matches(letter) || !seen_.insert(letter.id).second) continue;
        if (auto known = (*ledger)->look_up(letter); !known) {
            error_ = known.error();
            return;
        }
        if (letter.state != Letter::State::kOpen && !query_.filter.closed) continue;
        bytes_ += letter.key.value_or("").size() + letter.value.value_or("").size();
        page_.letters.push_back(std::move(letter));
    }
}

bool LetterScan::is_full() const {
    return page_.letters.size() >= query_.limit || bytes_ >= kMaxPageBytes;
}

void LetterScan::finish() {
    if (std::string next = to_text(ranges_); !next.empty()) page_.next = std::move(next);
    done_(std::move(page_));
}

void LetterScan::fail_with(const Error& error) { done_(error); }

}  // namespace millrace::engine
