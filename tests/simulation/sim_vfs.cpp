// The SQLite VFS in front of Disk. Shared memory is not needed: EXCLUSIVE locking keeps the log's
// index on the heap.
#include <sqlite3.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "simulation/sim_disk.hpp"

namespace millrace::simulation {
namespace {

struct Handle {
    sqlite3_file base;
    Disk::FilePtr* file;
    bool sync_folder;  // with the first sync, as on Unix
};

int checkpoint_pages = 1'000;

Disk& disk() { return *Disk::current; }
Disk::File& file_of(sqlite3_file* handle) { return **reinterpret_cast<Handle*>(handle)->file; }
// Of a life that has ended: what it does goes nowhere, and nothing of it fails.
bool in_the_void() { return disk().scheduler().in_ended_life(); }

bool hits(double probability) {
    if (in_the_void() || !disk().random().chance(probability)) return false;
    disk().on_fault();
    return true;
}

int close_file(sqlite3_file* handle) {
    disk().disconnected(handle);
    file_of(handle).locks.erase(handle);
    disk().paths.erase(handle);
    delete reinterpret_cast<Handle*>(handle)->file;
    handle->pMethods = nullptr;
    return SQLITE_OK;
}

int read_file(sqlite3_file* handle, void* bytes, int count, sqlite3_int64 offset) {
    const Disk::File& file = file_of(handle);
    const DiskFaults* faults = disk().faults_of(file.path);
    if (faults != nullptr && hits(faults->read_fails)) return SQLITE_IOERR_READ;
    const auto size = static_cast<sqlite3_int64>(file.content.size());
    const auto there = std::clamp<sqlite3_int64>(size - offset, 0, count);
    std::memcpy(bytes, file.content.data() + std::min(offset, size),
                static_cast<std::size_t>(there));
    if (there == count) return SQLITE_OK;
    std::memset(static_cast<char*>(bytes) + there, 0, static_cast<std::size_t>(count - there));
    return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* handle, const void* bytes, int count, sqlite3_int64 offset) {
    const auto file = *reinterpret_cast<Handle*>(handle)->file;
    disk().operation(1);
    const auto size = static_cast<std::size_t>(count);
    if (const DiskFaults* faults = disk().faults_of(file->path)) {
        const bool grows = offset + count > static_cast<sqlite3_int64>(file->content.size());
        if ((faults->is_full && grows && !in_the_void()) || hits(faults->full)) return SQLITE_FULL;
        if (hits(faults->write_fails)) {
            disk().write(*file, offset, bytes, disk().random().below(size));
            return SQLITE_IOERR_WRITE;
        }
    }
    disk().write(*file, offset, bytes, size);
    return SQLITE_OK;
}

int truncate_file(sqlite3_file* handle, sqlite3_int64 size) {
    disk().operation(2);
    disk().truncate(file_of(handle), size);
    return SQLITE_OK;
}

int sync_file(sqlite3_file* handle, int) {
    const auto file = *reinterpret_cast<Handle*>(handle)->file;
    disk().operation(3);
    const DiskFaults* faults = disk().faults_of(file->path);
    if (faults != nullptr && hits(faults->sync_fails)) return SQLITE_IOERR_FSYNC;
    disk().sync(*file);
    if (std::exchange(reinterpret_cast<Handle*>(handle)->sync_folder, false) && !file->gone)
        disk().sync_folder(file->path);
    return SQLITE_OK;
}

int file_size(sqlite3_file* handle, sqlite3_int64* size) {
    *size = static_cast<sqlite3_int64>(file_of(handle).content.size());
    return SQLITE_OK;
}

// https://sqlite.org/lockingv3.html
int lock_file(sqlite3_file* handle, int level) {
    auto& locks = file_of(handle).locks;
    for (const auto& [other, held] : locks) {
        if (other == handle) continue;
        const bool refused = level == SQLITE_LOCK_SHARED     ? held >= SQLITE_LOCK_PENDING
                             : level == SQLITE_LOCK_RESERVED ? held >= SQLITE_LOCK_RESERVED
                                                             : held >= SQLITE_LOCK_SHARED;
        if (refused) return SQLITE_BUSY;
    }
    locks[handle] = std::max(locks[handle], level);
    return SQLITE_OK;
}
int unlock_file(sqlite3_file* handle, int level) {
    auto& locks = file_of(handle).locks;
    if (level == SQLITE_LOCK_NONE)
        locks.erase(handle);
    else
        locks[handle] = level;
    return SQLITE_OK;
}
int check_lock(sqlite3_file* handle, int* held) {
    *held = 0;
    for (const auto& [other, level] : file_of(handle).locks)
        *held = *held || level >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}
int control_file(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 512; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

const sqlite3_io_methods kMethods = {
    1,         close_file,  read_file,  write_file,   truncate_file, sync_file,       file_size,
    lock_file, unlock_file, check_lock, control_file, sector_size,   characteristics, nullptr,
    nullptr,   nullptr,     nullptr,    nullptr,      nullptr,
};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* handle, int flags, int* out_flags) {
    handle->pMethods = nullptr;
    if (in_the_void()) return SQLITE_CANTOPEN;
    const bool temporary = name == nullptr;
    const std::string path = temporary ? disk().temporary_path() : name;
    const DiskFaults* faults = disk().faults_of(path);
    if (faults != nullptr && hits(faults->open_fails)) return SQLITE_CANTOPEN;
    constexpr int kJournals =
        SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL;
    const bool is_new_journal = !temporary && (flags & kJournals) != 0 && !disk().exists(path);
    Disk::FilePtr file = temporary ? std::make_shared<Disk::File>()
                                   : disk().open(path, (flags & SQLITE_OPEN_CREATE) != 0);
    if (!file) return SQLITE_CANTOPEN;
    if (temporary) {
        file->path = path;
        file->gone = true;
    }
    reinterpret_cast<Handle*>(handle)->file = new Disk::FilePtr(std::move(file));
    reinterpret_cast<Handle*>(handle)->sync_folder = is_new_journal;
    handle->pMethods = &kMethods;
    disk().paths[handle] = path;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char* name, int durably) {
    disk().operation(4);
    if (in_the_void()) return SQLITE_OK;
    if (!disk().exists(name)) return SQLITE_IOERR_DELETE_NOENT;
    disk().remove(name, durably != 0);
    return SQLITE_OK;
}

int access_file(sqlite3_vfs*, const char* name, int, int* exists) {
    *exists = !in_the_void() && disk().exists(name) ? 1 : 0;
    return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
}

int randomness(sqlite3_vfs*, int count, char* bytes) {
    std::memset(bytes, 7, static_cast<std::size_t>(count));
    return count;
}
int sleep_for(sqlite3_vfs*, int microseconds) { return microseconds; }
int current_time(sqlite3_vfs*, double* days) {
    *days = 2'461'000.0;
    return SQLITE_OK;
}

// SQLite calls it for each connection that opens.
int opened(sqlite3* connection, const char**, const void*) {
    if (Disk::current == nullptr) return SQLITE_OK;
    sqlite3_wal_autocheckpoint(connection, checkpoint_pages);
    sqlite3_file* file = nullptr;
    sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (file != nullptr && disk().paths.contains(file)) disk().connected(connection, file);
    return SQLITE_OK;
}

}  // namespace

void install_sim_vfs() {
    static sqlite3_vfs vfs{};
    if (vfs.zName != nullptr) return;
    // A savepoint's journal goes to the disk at once, where a write can fail in the middle of a
    // batch.
    const bool configured = sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, 0) == SQLITE_OK &&
                            sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK &&
                            sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
    if (!configured) {
        std::fputs("simulation: SQLite was used before its file system was installed\n", stderr);
        std::abort();
    }
    sqlite3_initialize();
    vfs.iVersion = 1;
    vfs.szOsFile = sizeof(Handle);
    vfs.mxPathname = 512;
    vfs.zName = kSimVfs;
    vfs.xOpen = open_file;
    vfs.xDelete = delete_file;
    vfs.xAccess = access_file;
    vfs.xFullPathname = full_path;
    vfs.xRandomness = randomness;
    vfs.xSleep = sleep_for;
    vfs.xCurrentTime = current_time;
    sqlite3_vfs_register(&vfs, 0);
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&opened));
}

void seed_sqlite(std::uint64_t seed, int pages) {
    checkpoint_pages = pages;
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed & 0x7fffffffU) | 1,
                         static_cast<sqlite3*>(nullptr));
}

}  // namespace millrace::simulation
