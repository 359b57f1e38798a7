#include "core/sqlite/faulty_disk.hpp"

#include <sqlite3.h>

#include <new>
#include <string_view>
#include <thread>

#include "core/kill_point.hpp"

namespace millrace::sqlite {
namespace {

struct File {
    sqlite3_io_methods methods;  // the real ones, with ours in front
    const sqlite3_io_methods* real;
    bool is_log;
};

struct Disk {
    sqlite3_vfs vfs{};
    int (*real_open)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*) = nullptr;
    int real_size = 0;
    std::chrono::microseconds sync_delay{0};
};

Disk disk;

// The real file stands first, so that its own methods find what they expect.
File& ours(sqlite3_file* file) {
    return *std::launder(
        reinterpret_cast<File*>(reinterpret_cast<std::byte*>(file) + disk.real_size));
}

int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
    const File& self = ours(file);
    if (self.is_log && kill_point_is_armed("in_commit")) {
        const int code = self.real->xWrite(file, bytes, count / 2, offset);
        if (code != SQLITE_OK) return code;
        kill_point("in_commit");
    }
    return self.real->xWrite(file, bytes, count, offset);
}

int sync(sqlite3_file* file, int flags) {
    std::this_thread::sleep_for(disk.sync_delay);
    return ours(file).real->xSync(file, flags);
}

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    const int code = disk.real_open(vfs, name, file, flags, out_flags);
    if (code != SQLITE_OK || file->pMethods == nullptr) return code;
    auto* self = new (reinterpret_cast<std::byte*>(file) + disk.real_size)
        File{*file->pMethods, file->pMethods, (flags & SQLITE_OPEN_WAL) != 0};
    self->methods.xWrite = &write;
    self->methods.xSync = &sync;
    file->pMethods = &self->methods;
    return SQLITE_OK;
}

}  // namespace

void install_faulty_disk(std::chrono::microseconds sync_delay) {
    disk.sync_delay = sync_delay;
    if (disk.real_open != nullptr) return;
    const sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
    disk.vfs = *real;
    disk.vfs.zName = "faulty";
    disk.real_open = real->xOpen;
    disk.real_size = real->szOsFile;
    disk.vfs.szOsFile = real->szOsFile + static_cast<int>(sizeof(File));
    disk.vfs.xOpen = &open;
    constexpr int kAsDefault = 1;
    sqlite3_vfs_register(&disk.vfs, kAsDefault);
}

}  // namespace millrace::sqlite
