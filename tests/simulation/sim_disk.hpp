// Disk: files in memory that know what a power cut would leave of them, and SimVfs: SQLite's way to
// the disk of the world that runs.
//
// A write is in the file at once, and durable when a sync of the file that began after it has
// ended. At a crash each write that is not durable is kept, lost, or torn into 512-byte sectors, by
// chance; a file that was never synced may be gone, and one that was deleted back until its folder
// is synced. Bytes outside a write are never changed (SQLITE_IOCAP_POWERSAFE_OVERWRITE, as SQLite
// assumes of real disks). https://sqlite.org/atomiccommit.html https://sqlite.org/vfs.html
//
// One thread. Files are found by path; each process of the world has a folder of its own. A crash
// puts new files in the place of the old ones: what a task that was in the middle still writes goes
// nowhere.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "simulation/sim_runtime.hpp"

struct sqlite3;

namespace millrace::simulation {

// What goes wrong on the disk of one process; probabilities of one operation.
struct DiskFaults {
    double write_fails = 0;
    double full = 0;
    double read_fails = 0;
    double sync_fails = 0;
    double open_fails = 0;
    bool is_full = false;       // no file grows
    nanoseconds sync_takes{0};  // at most
};

enum class CrashKind {
    kProcess = 1,  // SIGKILL: what was written stays
    kPowerLoss,    // only what is durable stays
    kTorn,         // each write by chance, in part or whole
};

class Disk {
public:
    struct Write {
        std::uint64_t number;
        std::int64_t offset;  // -1: truncate to `size`
        std::int64_t size;
        std::string bytes;
    };
    struct File {
        std::string path;
        std::string content;  // what a reader sees
        std::string durable;
        std::deque<Write> unsynced;
        bool linked = false;               // the name is durable
        bool gone = false;                 // of a life that has ended, or deleted
        std::map<const void*, int> locks;  // SQLite's levels, by open handle
    };
    using FilePtr = std::shared_ptr<File>;

    // Processes keep their files in <root>/<name of the life>/.
    Disk(Scheduler& scheduler, Rng random, std::string root)
        : scheduler_(scheduler), random_(random), root_(std::move(root)) {}

    FilePtr open(const std::string& path, bool create);
    // How often it was opened.
    std::uint64_t openings(const std::string& path) const {
        const auto found = openings_.find(path);
        return found == openings_.end() ? 0 : found->second;
    }
    bool exists(const std::string& path) const { return files_.contains(path); }
    void remove(const std::string& path, bool durably);
    void write(File& file, std::int64_t offset, const void* bytes, std::size_t size);
    void truncate(File& file, std::int64_t size);
    void sync(File& file);
    // Names that were made and removed beside this file are durable.
    void sync_folder(const std::string& path);

    void crash(const std::string& folder, CrashKind kind);
    // The files below `folder` as they would be after a crash now, below `target`.
    void copy_after_crash(const std::string& folder, CrashKind kind, const std::string& target);
    void remove_all(const std::string& folder);
    std::vector<std::string> list(const std::string& folder) const;

    // The faults of the folder that a path is in.
    DiskFaults& faults(const std::string& folder) { return faults_[folder]; }
    DiskFaults* faults_of(const std::string& path);
    // What the world does before each write, sync, truncation and removal: it may crash the
    // process.
    std::function<void()> before_operation;
    // A fault was injected.
    std::function<void()> on_fault;
    std::uint64_t operations() const { return operations_; }
    void operation(std::uint64_t kind);

    std::string temporary_path() const {
        const Life* life = scheduler_.current_life();
        return root_ + "/" + (life == nullptr ? "world" : life->name) + "/temporary";
    }

    Scheduler& scheduler() { return scheduler_; }
    Rng& random() { return random_; }

    // The connections that are open, so that a full disk can also be felt before COMMIT.
    void connected(sqlite3* connection, const void* file) { connections_[file] = connection; }
    void disconnected(const void* file) { connections_.erase(file); }
    // False: a file is being synced, maybe from inside SQLite, whose connection must be let alone.
    bool limit_pages(const std::string& folder, bool limited);
    std::map<const void*, std::string> paths;  // of open handles

    // The disk that SimVfs works on.
    static Disk* current;

private:
    FilePtr after_crash(const File& file, CrashKind kind);
    void apply_torn(std::string& content, const Write& write);

    Scheduler& scheduler_;
    Rng random_;
    std::string root_;
    std::uint64_t next_write_ = 0;
    std::uint64_t operations_ = 0;
    int syncing_ = 0;
    std::map<std::string, FilePtr> files_;
    std::map<std::string, std::uint64_t> openings_;
    std::map<std::string, FilePtr> unlinked_;  // deleted, but not durably
    std::map<std::string, DiskFaults> faults_;
    std::map<const void*, sqlite3*> connections_;
};

// Registers the VFS, once for a program, before SQLite is used.
inline constexpr const char* kSimVfs = "simulated";
void install_sim_vfs();
// SQLite's own random numbers, too, come from the seed; every connection checkpoints its log when
// it has so many pages.
void seed_sqlite(std::uint64_t seed, int checkpoint_pages);

}  // namespace millrace::simulation
