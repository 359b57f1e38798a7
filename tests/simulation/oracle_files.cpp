// What the processes' disks hold.
#include <fmt/format.h>
#include <sqlite3.h>

#include <sstream>

#include "simulation/oracle.hpp"

namespace millrace::simulation {
namespace {

std::string column(sqlite3_stmt* row, int index) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, index));
    return text == nullptr ? "" : text;
}

}  // namespace

// Rows of the shards' files as they would be after a crash of that kind: <root>/probe/handlers/
// HANDLER/SHARD.db. A file that has no such table yet has no rows.
template <class Read>
void Oracle::read_files(const std::string& process, CrashKind kind, const char* sql, Read read) {
    const std::string copy = root_ + "/probe";
    probing_ = true;
    disk_.copy_after_crash(root_ + "/" + process, kind, copy);
    for (const auto& file : disk_.list(copy)) {
        if (file.find("/handlers/") == std::string::npos) continue;
        const auto slash = file.rfind('/');
        const auto before = file.rfind('/', slash - 1);
        const std::string handler = file.substr(before + 1, slash - before - 1);
        if (!file.ends_with(".db") || file.ends_with("/handler.db")) continue;
        const std::string shard = file.substr(slash + 1, file.size() - slash - 4);
        sqlite3* database = nullptr;
        int code = sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READWRITE, kSimVfs);
        if (code == SQLITE_OK)
            code =
                sqlite3_exec(database, "PRAGMA locking_mode=EXCLUSIVE", nullptr, nullptr, nullptr);
        sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        sqlite3_stmt* query = nullptr;
        if (code == SQLITE_OK) code = sqlite3_prepare_v2(database, sql, -1, &query, nullptr);
        if (code == SQLITE_ERROR && query == nullptr) code = SQLITE_DONE;
        while (query != nullptr && (code = sqlite3_step(query)) == SQLITE_ROW)
            read(handler, shard, query);
        if (code != SQLITE_DONE) {
            on_fault(fmt::format("{} of process {} does not read back: {}", file, process,
                                 sqlite3_errmsg(database)));
        }
        sqlite3_finalize(query);
        sqlite3_close_v2(database);
    }
    disk_.remove_all(copy);
    probing_ = false;
}

std::vector<LogRow> Oracle::read_logs(CrashKind kind) {
    std::vector<LogRow> rows;
    for (const auto& process : processes_) {
        read_files(
            process, kind,
            "SELECT n, what, id, version, user, topic, partition, offset FROM log ORDER BY n",
            [&](const std::string& handler, const std::string& shard, sqlite3_stmt* row) {
                rows.push_back({process,
                                handler,
                                shard,
                                sqlite3_column_int64(row, 0),
                                column(row, 1),
                                column(row, 2),
                                column(row, 3),
                                column(row, 4),
                                {column(row, 5), {sqlite3_column_int(row, 6)}},
                                {sqlite3_column_int64(row, 7)}});
            });
    }
    return rows;
}

// Of records of the log: "record tasks 0 17".
SavedAttempts Oracle::read_attempts(const std::string& process) {
    SavedAttempts saved;
    read_files(process, CrashKind::kProcess,
               "SELECT input, attempt FROM _attempts WHERE input LIKE 'record %'",
               [&](const std::string& handler, const std::string&, sqlite3_stmt* row) {
                   std::istringstream input(column(row, 0));
                   std::string record;
                   CopyKey copy;
                   input >> record >> copy.first.topic >> copy.first.partition.value >>
                       copy.second.value;
                   saved[{handler, copy}] = static_cast<std::uint32_t>(sqlite3_column_int(row, 1));
               });
    return saved;
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
