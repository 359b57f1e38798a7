// What the processes' disks hold.
#include <fmt/format.h>
#include <sqlite3.h>

#include "simulation/oracle.hpp"

namespace millrace::simulation {
namespace {

std::string column(sqlite3_stmt* row, int index) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, index));
    return text == nullptr ? "" : text;
}

}  // namespace

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
            const auto committed = cluster_->committed(group_of(handler), origin);
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

}  // namespace millrace::simulation
