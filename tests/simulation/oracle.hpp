// Oracle: knows what was produced and what must become of it, watches what is promised while the
// world runs, and judges what is left at the end.
//
// Promises are checked when they are made (a committed offset: everything below has an outcome, its
// events are out) and when they are called in: after a crash the disks, as a power cut would leave
// them, must still cover what the groups have committed. One thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "simulation/attempt_watch.hpp"
#include "simulation/bound_watch.hpp"
#include "simulation/breaker_watch.hpp"
#include "simulation/disturbances.hpp"
#include "simulation/model.hpp"
#include "simulation/owner_watch.hpp"
#include "simulation/redrive_book.hpp"
#include "simulation/scenario.hpp"
#include "simulation/sim_cluster.hpp"
#include "simulation/sim_disk.hpp"
#include "simulation/stall_watch.hpp"

namespace millrace::simulation {

enum class Flavour { kNormal = 1, kTombstone, kBroken, kNotAnObject, kUnknownVersion, kLoop };

// A record as it lies in a topic. Copies of one event have one serial.
struct Produced {
    TopicPartition origin;
    Offset offset;
    std::string serial;
    std::string user;
    Script script;
    Flavour flavour = Flavour::kNormal;
    StoredPtr stored;
};

// A row of a handler's table `log`.
struct LogRow {
    std::string process;
    std::string handler;
    std::string shard;
    std::int64_t n = 0;
    std::string what;
    std::string id;
    std::string version;
    std::string user;
    TopicPartition origin;
    Offset offset{-1};
};

// What was seen, for the report of many runs.
struct Tally {
    std::uint64_t records = 0;
    std::uint64_t effects = 0;
    std::uint64_t repeats = 0;  // at another owner of the partition
    std::uint64_t dead_letters = 0;
    std::uint64_t published = 0;
    std::uint64_t crashes = 0;
    std::uint64_t moves = 0;
    std::uint64_t breakers = 0;  // times that one was open
    std::uint64_t redriven = 0;
    void add(const Tally& other);
};

// The consumer group of a handler.
inline std::string group_of(const std::string& handler) { return "sim." + handler; }

class Oracle final : public ClusterWatch, public Witness {
public:
    Oracle(const Scenario& scenario, Scheduler& scheduler, Disk& disk, std::string root,
           std::vector<std::string> processes);

    void set_cluster(const Cluster& cluster) { cluster_ = &cluster; }
    void produced(Produced record);
    // The disk of a process refused something; or may refuse anything from now on, until then.
    void on_disk_fault() { disturbed(Disturbance::kDisk); }
    void disk_trouble_begins();
    void disk_trouble_ends();
    // A process has died, its disk is as the crash left it.
    void on_crash(const std::string& process, CrashKind kind);

    // What people see of a process.
    void look(const std::string& process, const std::string& status);
    // nullptr: there is no such record.
    const Produced* find(const CopyKey& copy) const;
    std::size_t redrive_asked(Redrive redrive);
    RedriveBook& redrives() { return redrives_; }

    void on_commit(const std::string& process, const std::string& group,
                   const TopicPartition& origin, Offset position) override;
    void on_moved(const std::string& group) override;
    void on_given(const std::string& process, const std::string& group,
                  const TopicPartition& origin) override;
    void on_gone(const std::string& process, const std::string& group, const TopicPartition& origin,
                 bool was_asked) override;
    void on_called(const CallNote& note) override;
    void on_completing(const std::string& process, const std::string& handler,
                       const TopicPartition& origin, Offset offset) override {
        bounds_.completes(process, handler, {origin, offset});
    }
    void on_fault(const std::string& what) override;

    // The disks as a power cut would leave them cover what the groups have committed.
    void check_durable();
    // Everything is quiet: what became of it all.
    void check_end();

    const std::vector<std::string>& faults() const { return faults_; }
    const Tally& tally() const { return tally_; }
    Tally& tally() { return tally_; }
    bool is_probing() const { return probing_; }

private:
    // One copy of a dead letter.
    struct Letter {
        int redrives = 0;
        nanoseconds asked_at{0};
        std::string process;
        bool answered = true;
    };
    // What lies in the dead-letter topics and in `out`, of one handler.
    struct Sent {
        std::map<CopyKey, std::vector<Letter>> records;
        std::set<CopyKey> refused_events;
        std::set<std::string> timers;
        std::set<std::string> calls;
        std::map<std::pair<std::string, int>, std::set<std::string>> events;  // (serial, index)
    };
    struct Acked {
        std::set<CopyKey> copies;
        std::map<std::pair<std::string, CopyKey>, nanoseconds> last_at;  // by process
    };

    // What was written (oracle_topics.cpp).
    void disturbed(Disturbance what);
    void read_topics();
    void read_letter(const TopicPartition& origin, const Stored& letter);
    void read_event(const Stored& event);

    const HandlerPlan* plan_of_group(const std::string& group) const;
    Fate fate_of(const Produced& record, const HandlerPlan& plan) const;
    bool is_resolved(const Produced& record, const HandlerPlan& plan);

    // Disks (oracle_files.cpp).
    template <class Read>
    void read_files(const std::string& process, CrashKind kind, const char* sql, Read read);
    std::vector<LogRow> read_logs(CrashKind kind);
    SavedAttempts read_attempts(const std::string& process);

    // The end (oracle_end.cpp).
    using Rows = std::vector<LogRow>;
    void check_records(const HandlerPlan& plan, const Rows& rows);
    void check_record(const HandlerPlan& plan, const Produced& record,
                      const std::vector<const LogRow*>& effects);
    void check_repeats(const HandlerPlan& plan, const std::string& serial,
                       const std::vector<const LogRow*>& effects);
    bool may_repeat(const HandlerPlan& plan, const LogRow& first, const LogRow& second) const;
    std::size_t owners_of(const TopicPartition& origin, const HandlerPlan& plan) const;
    void check_order(const HandlerPlan& plan, const Rows& rows);
    void check_order_across(const HandlerPlan& plan, const Rows& rows);
    void check_timers(const HandlerPlan& plan, const Rows& rows);
    void check_calls(const HandlerPlan& plan, const Rows& rows);
    void check_events(const HandlerPlan& plan, const Rows& rows);
    void check_letters(const HandlerPlan& plan);
    void check_copies(const HandlerPlan& plan);
    void check_redrives(const HandlerPlan& plan, const Rows& rows);
    void check_stateless(const HandlerPlan& plan);
    std::string describe(const Produced& record) const;

    const Scenario& scenario_;
    Scheduler& scheduler_;
    Disk& disk_;
    const std::string root_;
    const std::vector<std::string> processes_;
    const Cluster* cluster_ = nullptr;
    std::map<TopicPartition, std::map<Offset, Produced>> produced_;
    std::map<std::string, std::vector<const Produced*>> by_serial_;
    std::map<std::string, Sent> sent_;    // by handler
    std::map<std::string, Acked> acked_;  // by handler
    std::map<TopicPartition, std::size_t> read_up_to_;
    std::map<std::pair<std::string, TopicPartition>, Offset> checked_;  // by group
    Disturbances disturbances_;
    AttemptWatch attempts_;
    BreakerWatch breakers_;
    OwnerWatch owners_;
    StallWatch stalls_;
    BoundWatch bounds_;
    RedriveBook redrives_;
    std::vector<std::string> faults_;
    Tally tally_;
    bool probing_ = false;
};

}  // namespace millrace::simulation
