// What lies in the topics that the engine writes to: dead letters and published events.
#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <cstdlib>

#include "simulation/oracle.hpp"

namespace millrace::simulation {

void Oracle::read_topics() {
    for (const auto& [origin, log] : cluster_->logs()) {
        const bool letters = origin.topic.ends_with("-dlq");
        if (!letters && origin.topic != "out") continue;
        auto& next = read_up_to_[origin];
        for (; next < log.records.size(); ++next) {
            if (letters)
                read_letter(origin, *log.records[next]);
            else
                read_event(*log.records[next]);
        }
    }
}

void Oracle::read_letter(const TopicPartition& origin, const Stored& letter) {
    Sent& sent = sent_[letter.header("millrace-handler")];
    ++tally_.dead_letters;
    if (const auto timer = letter.header("millrace-timer"); !timer.empty()) {
        sent.timers.insert(timer);
        return;
    }
    if (const auto call = letter.header("millrace-call"); !call.empty()) {
        sent.calls.insert(call);
        return;
    }
    const TopicPartition source{letter.header("millrace-topic"),
                                {std::atoi(letter.header("millrace-partition").c_str())}};
    const CopyKey copy{source, Offset{std::atoll(letter.header("millrace-offset").c_str())}};
    if (!letter.header("millrace-target").empty()) {
        sent.refused_events.insert(copy);
        return;
    }
    for (const char* once : {"millrace-handler", "millrace-topic", "millrace-partition",
                             "millrace-offset", "millrace-error-class", "millrace-attempts"}) {
        if (letter.header_count(once) != 1)
            on_fault(fmt::format("a dead letter of {} has {} headers {}", to_string(source),
                                 letter.header_count(once), once));
    }
    const Produced* produced = find(copy);
    if (produced == nullptr) {
        return on_fault(fmt::format("a dead letter in {} of a record that never was: {} offset {}",
                                    to_string(origin), to_string(source), copy.second.value));
    }
    const Produced& record = *produced;
    if (letter.key != record.stored->key || letter.value != record.stored->value)
        on_fault(fmt::format("the dead letter of {} is not its copy", describe(record)));
    sent.records[copy].push_back({std::atoi(letter.header("millrace-redrives").c_str()),
                                  letter.asked_at, letter.asked_by, letter.answered});
}

void Oracle::read_event(const Stored& event) {
    ++tally_.published;
    boost::system::error_code error;
    const auto value = boost::json::parse(event.value.value_or(""), error);
    if (error || !value.is_object()) return on_fault("an event in `out` is no JSON object");
    const auto& object = value.get_object();
    const std::string title(object.at("task_data").at("title").as_string());
    const auto space = title.find(' ');
    sent_[title.substr(0, space)]
        .events[{std::string(object.at("task_id").as_string()), std::atoi(title.c_str() + space)}]
        .insert(std::string(object.at("event_id").as_string()));
}

}  // namespace millrace::simulation
