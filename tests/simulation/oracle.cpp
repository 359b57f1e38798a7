#include "simulation/oracle.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <boost/json/parse.hpp>
#include <cstdlib>

namespace millrace::simulation {
namespace {

constexpr std::size_t kMostFaults = 20;
constexpr const char* kGroupPrefix = "sim.";

std::string column(sqlite3_stmt* row, int index) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, index));
    return text == nullptr ? "" : text;
}

}  // namespace

void Tally::add(const Tally& other) {
    records += other.records;
    effects += other.effects;
    repeats += other.repeats;
    dead_letters += other.dead_letters;
    published += other.published;
    crashes += other.crashes;
    moves += other.moves;
}

Oracle::Oracle(const Scenario& scenario, Scheduler& scheduler, Disk& disk, std::string root,
               std::vector<std::string> processes)
    : scenario_(scenario),
      scheduler_(scheduler),
      disk_(disk),
      root_(std::move(root)),
      processes_(std::move(processes)) {}

void Oracle::produced(Produced record) {
    ++tally_.records;
    auto& place = produced_[record.origin][record.offset];
    place = std::move(record);
    by_serial_[place.serial].push_back(&place);
}

void Oracle::on_fault(const std::string& what) {
    if (faults_.size() < kMostFaults)
        faults_.push_back(fmt::format("step {}: {}", scheduler_.steps(), what));
}

void Oracle::on_moved(const std::string&) {
    ++tally_.moves;
    disturbed();
}

void Oracle::on_called(const CallNote& note) {
    scheduler_.trace("{}: {} shard {} handles {} of {} offset {}, attempt {}: {}", note.process,
                     note.handler, note.shard, note.serial, to_string(note.origin),
                     note.offset.value, note.attempt, note.outcome);
    if (!note.acked) return;
    const CopyKey copy{note.origin, note.offset};
    Acked& acked = acked_[note.handler];
    acked.copies.insert(copy);
    acked.last_step[{note.process, copy}] = scheduler_.steps();
}

const HandlerPlan* Oracle::plan_of_group(const std::string& group) const {
    for (const auto& plan : scenario_.handlers) {
        if (kGroupPrefix + plan.section.name == group) return &plan;
    }
    return nullptr;
}

Fate Oracle::fate_of(const Produced& record, const HandlerPlan& plan) const {
    switch (record.flavour) {
        case Flavour::kTombstone:
        case Flavour::kUnknownVersion:
            return Fate::kSkipped;
        case Flavour::kBroken:
        case Flavour::kNotAnObject:
        case Flavour::kLoop:
            return Fate::kDead;
        case Flavour::kNormal:
            break;
    }
    if (plan.state == engine::StateKind::kNone && record.script.needs_state()) return Fate::kEffect;
    return record.script.fate();
}

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
    const auto records = produced_.find(source);
    if (records == produced_.end() || !records->second.contains(copy.second)) {
        return on_fault(fmt::format("a dead letter in {} of a record that never was: {} offset {}",
                                    to_string(origin), to_string(source), copy.second.value));
    }
    const Produced& record = records->second.at(copy.second);
    if (letter.key != record.stored->key || letter.value != record.stored->value)
        on_fault(fmt::format("the dead letter of {} is not its copy", describe(record)));
    Letter& there = sent.records[copy];
    ++there.copies;
    there.asked_at.push_back(letter.asked_at);
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

bool Oracle::is_resolved(const Produced& record, const HandlerPlan& plan) {
    if (fate_of(record, plan) == Fate::kSkipped) return true;
    const std::string& handler = plan.section.name;
    if (sent_[handler].records.contains({record.origin, record.offset})) return true;
    for (const auto* copy : by_serial_.at(record.serial)) {
        if (acked_[handler].copies.contains({copy->origin, copy->offset})) return true;
    }
    return false;
}

void Oracle::on_commit(const std::string& process, const std::string& group,
                       const TopicPartition& origin, Offset position) {
    const HandlerPlan* plan = plan_of_group(group);
    if (plan == nullptr) return on_fault("a commit of an unknown group " + group);
    read_topics();
    if (position > cluster_->logs().at(origin).end) {
        return on_fault(fmt::format("{}: {} commits {} offset {}, the log ends at {}", process,
                                    group, to_string(origin), position.value,
                                    cluster_->logs().at(origin).end.value));
    }
    Offset& checked = checked_[{group, origin}];
    const auto& records = produced_[origin];
    const Sent& sent = sent_[plan->section.name];
    const Acked& acked = acked_[plan->section.name];
    for (auto at = records.lower_bound(checked); at != records.end() && at->first < position;
         ++at) {
        const Produced& record = at->second;
        if (!is_resolved(record, *plan)) {
            on_fault(fmt::format("{}: {} commits {} offset {}, above the unresolved {}", process,
                                 group, to_string(origin), position.value, describe(record)));
        }
        if (plan->state == engine::StateKind::kNone || record.script.act != Act::kPublish ||
            by_serial_.at(record.serial).size() > 1 ||
            !acked.copies.contains({record.origin, record.offset}))
            continue;
        for (int i = 0; i < record.script.count; ++i) {
            if (sent.events.contains({record.serial, i})) continue;
            on_fault(fmt::format("{}: {} commits {} offset {}, event {} of {} is not out", process,
                                 group, to_string(origin), position.value, i, describe(record)));
        }
    }
    checked = std::max(checked, position);
}

std::vector<LogRow> Oracle::read_logs(CrashKind kind) {
    std::vector<LogRow> rows;
    probing_ = true;
    for (const auto& process : processes_) {
        const std::string copy = root_ + "/probe";
        disk_.copy_after_crash(root_ + "/" + process, kind, copy);
        for (const auto& file : disk_.list(copy)) {
            if (file.ends_with(".db") && !file.ends_with("/handler.db"))
                read_log_file(file, process, rows);
        }
        disk_.remove_all(copy);
    }
    probing_ = false;
    return rows;
}

// <root>/probe/handlers/HANDLER/SHARD.db
void Oracle::read_log_file(const std::string& file, const std::string& process,
                           std::vector<LogRow>& rows) {
    const auto slash = file.rfind('/');
    const auto before = file.rfind('/', slash - 1);
    const std::string handler = file.substr(before + 1, slash - before - 1);
    const std::string shard = file.substr(slash + 1, file.size() - slash - 4);
    sqlite3* database = nullptr;
    int code = sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, kSimVfs);
    if (code == SQLITE_OK)
        code = sqlite3_exec(database, "PRAGMA locking_mode=EXCLUSIVE", nullptr, nullptr, nullptr);
    sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_stmt* query = nullptr;
    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(
            database,
            "SELECT n, what, id, version, user, topic, partition, offset FROM log ORDER BY n", -1,
            &query, nullptr);
    }
    if (code == SQLITE_ERROR && query == nullptr) code = SQLITE_DONE;  // before `migrate`
    while (query != nullptr && (code = sqlite3_step(query)) == SQLITE_ROW) {
        rows.push_back({process,
                        handler,
                        shard,
                        sqlite3_column_int64(query, 0),
                        column(query, 1),
                        column(query, 2),
                        column(query, 3),
                        column(query, 4),
                        {column(query, 5), {sqlite3_column_int(query, 6)}},
                        {sqlite3_column_int64(query, 7)}});
    }
    if (code != SQLITE_DONE) {
        on_fault(fmt::format("{} of process {} does not read back: {}", file, process,
                             sqlite3_errmsg(database)));
    }
    sqlite3_finalize(query);
    sqlite3_close_v2(database);
}

void Oracle::check_durable() {
    read_topics();
    std::map<std::string, std::set<std::string>> durable;  // serials by handler
    for (const auto& row : read_logs(CrashKind::kPowerLoss)) {
        if (row.what == "effect") durable[row.handler].insert(row.id);
    }
    for (const auto& plan : scenario_.handlers) {
        if (plan.state == engine::StateKind::kNone) continue;
        const std::string& handler = plan.section.name;
        for (const auto& [origin, records] : produced_) {
            const auto committed = cluster_->committed(kGroupPrefix + handler, origin);
            if (!committed) continue;
            for (const auto& [offset, record] : records) {
                if (offset >= *committed) break;
                if (fate_of(record, plan) == Fate::kSkipped ||
                    sent_[handler].records.contains({origin, offset}) ||
                    durable[handler].contains(record.serial))
                    continue;
                on_fault(
                    fmt::format("after a power loss now, {} would be lost: {} has committed {}",
                                describe(record), handler, committed->value));
            }
        }
    }
}

std::string Oracle::describe(const Produced& record) const {
    return fmt::format("{} offset {} (event {} of {}, {} times {} count {} delay {})",
                       to_string(record.origin), record.offset.value, record.serial, record.user,
                       record.flavour == Flavour::kNormal ? to_string(record.script.act) : "odd",
                       record.script.times, record.script.count, record.script.delay);
}

}  // namespace millrace::simulation
