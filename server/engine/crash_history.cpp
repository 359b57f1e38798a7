#include "engine/crash_history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <csignal>
#include <set>
#include <utility>

namespace millrace::engine {
namespace {

namespace json = boost::json;

constexpr std::size_t kMarksKept = 200;  // per handler
constexpr std::size_t kNamed = 5;        // positions that a reason names

// A record is where it is whatever shard takes it; a timer or a row is its shard's own.
bool is_record(const CallPlace& place) { return place.kind == CallKind::kRecord; }

bool is_input(const CallPlace& place) {
    return is_record(place) || place.kind == CallKind::kTimer ||
           place.kind == CallKind::kResponse || place.kind == CallKind::kInbox;
}

using Where = std::pair<std::string, CallPlace>;

Where where(const CrashMark& mark) {
    return {is_record(mark.place) ? std::string() : mark.shard, mark.place};
}

std::string name_of(const CrashMark& mark) {
    if (is_record(mark.place)) return to_string(mark.place);
    return fmt::format("{} (shard {})", to_string(mark.place), mark.shard);
}

std::vector<CrashMark> recent(const HandlerCrashes& crashes, milliseconds window) {
    std::vector<CrashMark> marks;
    for (const auto& mark : crashes.marks)
        if (mark.time + window >= crashes.marks.back().time) marks.push_back(mark);
    return marks;
}

std::optional<std::string> many_positions(const std::vector<CrashMark>& marks,
                                          std::uint32_t limit) {
    std::set<Where> seen;
    std::vector<std::string> names;
    for (const auto& mark : marks)
        if (seen.insert(where(mark)).second) names.push_back(name_of(mark));
    if (names.size() < limit) return std::nullopt;
    if (names.size() > kNamed) names.erase(names.begin(), names.end() - kNamed);
    return fmt::format("it crashed the process at {} different positions (last {}: {})",
                       seen.size(), signal_name(marks.back().signal), fmt::join(names, ", "));
}

// Where there is no input that could be given up instead.
std::optional<std::string> one_callback(const std::vector<CrashMark>& marks, std::uint32_t limit) {
    for (const auto& mark : marks) {
        if (is_input(mark.place)) continue;
        const auto count = std::ranges::count_if(
            marks, [&](const auto& other) { return where(other) == where(mark); });
        if (count >= static_cast<std::ptrdiff_t>(limit))
            return fmt::format("it crashed the process {} times in {} (last {})", count,
                               name_of(mark), signal_name(marks.back().signal));
    }
    return std::nullopt;
}

std::int64_t to_number(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp to_time(const json::value& value) {
    return Timestamp(std::chrono::microseconds(value.to_number<std::int64_t>()));
}
std::string to_text(const json::value& value) { return std::string(value.as_string()); }

json::object to_value(const CrashMark& mark) {
    return {{"time", to_number(mark.time)},
            {"signal", mark.signal},
            {"shard", mark.shard},
            {"kind", static_cast<std::uint32_t>(mark.place.kind)},
            {"name", mark.place.name},
            {"name_hash", mark.place.name_hash},
            {"partition", mark.place.partition.value},
            {"offset", mark.place.offset.value}};
}

CrashMark mark_of(const json::object& value) {
    CallPlace place{static_cast<CallKind>(value.at("kind").to_number<std::uint32_t>()),
                    to_text(value.at("name")), value.at("name_hash").to_number<std::uint64_t>(),
                    Partition{value.at("partition").to_number<std::int32_t>()},
                    Offset{value.at("offset").to_number<std::int64_t>()}};
    return {to_time(value.at("time")), value.at("signal").to_number<int>(),
            to_text(value.at("shard")), std::move(place)};
}

HandlerCrashes crashes_of(const json::object& value) {
    HandlerCrashes crashes;
    for (const auto& mark : value.at("marks").as_array())
        crashes.marks.push_back(mark_of(mark.as_object()));
    if (const auto* quarantine = value.if_contains("quarantine")) {
        const auto& members = quarantine->as_object();
        crashes.quarantine =
            Quarantine{to_time(members.at("since")), to_text(members.at("reason"))};
    }
    return crashes;
}

}  // namespace

bool is_record_of(const CallPlace& place, const TopicPartition& origin) {
    return is_record(place) && place.name == origin.topic && place.partition == origin.partition;
}

bool CondemnedInput::is_at(const CallView& position, std::string_view of_shard) const {
    return view(place) == position && (is_record(place) || shard == of_shard);
}

void add_mark(HandlerCrashes& crashes, CrashMark mark) {
    auto& marks = crashes.marks;
    if (std::ranges::find(marks, mark) != marks.end()) return;
    const auto place = std::ranges::upper_bound(marks, mark.time, {}, &CrashMark::time);
    marks.insert(place, std::move(mark));
    if (marks.size() > kMarksKept) marks.erase(marks.begin());
}

std::vector<CondemnedInput> condemned_inputs(const HandlerCrashes& crashes, std::uint32_t limit) {
    std::map<Where, CondemnedInput> inputs;
    for (const auto& mark : crashes.marks) {
        if (!is_input(mark.place)) continue;
        auto [found, is_new] = inputs.try_emplace(
            where(mark), CondemnedInput{mark.place, mark.shard, 0, mark.signal, mark.time});
        ++found->second.crashes;
        found->second.signal = mark.signal;
    }
    std::vector<CondemnedInput> condemned;
    for (auto& [at, input] : inputs)
        if (input.crashes >= limit) condemned.push_back(std::move(input));
    return condemned;
}

std::optional<std::string> quarantine_reason(const HandlerCrashes& crashes, std::uint32_t limit,
                                             milliseconds window) {
    if (crashes.marks.empty()) return std::nullopt;
    const auto marks = recent(crashes, window);
    auto reason = many_positions(marks, limit);
    return reason ? reason : one_callback(marks, limit);
}

std::string signal_name(int signal) {
    for (const auto& [number, name] : {std::pair{SIGSEGV, "SIGSEGV"},
                                       {SIGBUS, "SIGBUS"},
                                       {SIGFPE, "SIGFPE"},
                                       {SIGILL, "SIGILL"},
                                       {SIGABRT, "SIGABRT"}}) {
        if (number == signal) return name;
    }
    return fmt::format("signal {}", signal);
}

std::string to_json(const CrashHistory& history) {
    json::object handlers;
    for (const auto& [handler, crashes] : history) {
        json::array marks;
        for (const auto& mark : crashes.marks) marks.push_back(to_value(mark));
        json::object value{{"marks", std::move(marks)}};
        if (crashes.quarantine) {
            value["quarantine"] = {{"since", to_number(crashes.quarantine->since)},
                                   {"reason", crashes.quarantine->reason}};
        }
        handlers[handler] = std::move(value);
    }
    return json::serialize(json::object{{"version", 1}, {"handlers", std::move(handlers)}});
}

// A timer's name may be any bytes.
Result<CrashHistory> parse_crash_history(std::string_view text) {
    json::parse_options options;
    options.allow_invalid_utf8 = true;
    try {
        const json::value value = json::parse(text, {}, options);
        CrashHistory history;
        for (const auto& [handler, crashes] : value.as_object().at("handlers").as_object())
            history[std::string(handler)] = crashes_of(crashes.as_object());
        return history;
    } catch (const std::exception& error) {
        return fail(ErrorCode::kCorrupt, error.what());
    }
}

}  // namespace millrace::engine
