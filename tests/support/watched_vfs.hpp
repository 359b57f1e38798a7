// WatchedVfs: the operating system's file system for SQLite, with an eye on what is written and not
// yet durable, and with calls that can be made to fail.
//
// Made once for a program and never removed; one thread at a time.
#pragma once

#include <sqlite3.h>

#include <new>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::testing {

class WatchedVfs {
public:
    static constexpr const char* kName = "watched";

    static WatchedVfs& instance() {
        static WatchedVfs vfs;
        return vfs;
    }

    // A call that fails with this SQLite code on files with this in their names. Opening with
    // SQLITE_READONLY opens for reading only, as a file system that is mounted so does.
    struct Fault {
        enum class Call { kOpen = 1, kRead, kWrite, kSync } call;
        std::string file;
        int code;
    };
    std::vector<Fault> faults;
    int skip_reads = 0;    // of the calls that would fail: these pass first
    int max_refusals = 0;  // 0: no limit
    int refused = 0;       // calls that failed so

    // Files with bytes that a power cut would take.
    std::set<std::string> unsynced;
    std::string failing;  // syncs fail of files with this in their names; empty: none
    int syncs = 0;

private:
    struct File {
        sqlite3_file base;
        sqlite3_io_methods methods;  // the real ones, with ours in front
        const sqlite3_io_methods* real;
        const char* name;
    };

    WatchedVfs() {
        sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
        vfs_ = *real;
        vfs_.zName = kName;
        real_open_ = real->xOpen;
        // The real file stands first, so that all its own methods find what they expect.
        real_size_ = real->szOsFile;
        vfs_.szOsFile = real_size_ + static_cast<int>(sizeof(File));
        vfs_.xOpen = &WatchedVfs::open;
        sqlite3_vfs_register(&vfs_, 0);
    }

    static File& ours(sqlite3_file* file) {
        return *std::launder(
            reinterpret_cast<File*>(reinterpret_cast<char*>(file) + instance().real_size_));
    }

    // The code of the fault that is set for the call; SQLITE_OK: none.
    static int fault(Fault::Call call, const char* name) {
        if (name == nullptr) return SQLITE_OK;
        for (const auto& fault : instance().faults) {
            if (fault.call != call || std::string_view(name).find(fault.file) == std::string::npos)
                continue;
            if (call == Fault::Call::kRead && instance().skip_reads > 0) {
                --instance().skip_reads;
                return SQLITE_OK;
            }
            if (instance().max_refusals > 0 && instance().refused >= instance().max_refusals)
                return SQLITE_OK;
            ++instance().refused;
            return fault.code;
        }
        return SQLITE_OK;
    }

    static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags,
                    int* out_flags) {
        const int refusal = fault(Fault::Call::kOpen, name);
        if (refusal == SQLITE_READONLY) {
            flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
        } else if (refusal != SQLITE_OK) {
            file->pMethods = nullptr;
            return refusal;
        }
        const int code = instance().real_open_(vfs, name, file, flags, out_flags);
        if (code != SQLITE_OK || file->pMethods == nullptr) return code;
        File* extra = new (reinterpret_cast<char*>(file) + instance().real_size_) File{};
        extra->real = file->pMethods;
        extra->methods = *file->pMethods;
        extra->methods.xRead = &WatchedVfs::read;
        extra->methods.xWrite = &WatchedVfs::write;
        extra->methods.xSync = &WatchedVfs::sync;
        extra->name = name == nullptr ? "" : name;
        file->pMethods = &extra->methods;
        return SQLITE_OK;
    }

    static int read(sqlite3_file* file, void* bytes, int count, sqlite3_int64 offset) {
        const int refusal = fault(Fault::Call::kRead, ours(file).name);
        if (refusal != SQLITE_OK) return refusal;
        return ours(file).real->xRead(file, bytes, count, offset);
    }

    static int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
        const int refusal = fault(Fault::Call::kWrite, ours(file).name);
        if (refusal != SQLITE_OK) return refusal;
        instance().unsynced.insert(ours(file).name);
        return ours(file).real->xWrite(file, bytes, count, offset);
    }

    static int sync(sqlite3_file* file, int flags) {
        ++instance().syncs;
        const int refusal = fault(Fault::Call::kSync, ours(file).name);
        if (refusal != SQLITE_OK) return refusal;
        const std::string& failing = instance().failing;
        const std::string name = ours(file).name;
        if (!failing.empty() && name.find(failing) != std::string::npos) return SQLITE_IOERR_FSYNC;
        instance().unsynced.erase(name);
        return ours(file).real->xSync(file, flags);
    }

    sqlite3_vfs vfs_{};
    int (*real_open_)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*) = nullptr;
    int real_size_ = 0;
};

}  // namespace millrace::testing
