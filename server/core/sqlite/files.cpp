#include "core/sqlite/files.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <string_view>

namespace millrace::sqlite {
namespace {

Result<sqlite3_vfs*> find_vfs(const std::string& name) {
    sqlite3_vfs* vfs = sqlite3_vfs_find(name.empty() ? nullptr : name.c_str());
    if (vfs == nullptr)
        return fail(ErrorCode::kInvalid, fmt::format("no SQLite file system named '{}'", name));
    return vfs;
}

Error file_error(const std::string& path, std::string_view doing, int code) {
    return fail(ErrorCode::kIo, fmt::format("{}: {}: {}", path, doing, sqlite3_errstr(code)));
}

}  // namespace

Result<bool> database_exists(const std::string& path, const std::string& vfs) {
    auto found = find_vfs(vfs);
    if (!found) return found.error();
    int exists = 0;
    const int code = (*found)->xAccess(*found, path.c_str(), SQLITE_ACCESS_EXISTS, &exists);
    if (code != SQLITE_OK) return file_error(path, "cannot be looked up", code);
    return exists != 0;
}

Result<void> remove_database(const std::string& path, const std::string& vfs) {
    auto found = find_vfs(vfs);
    if (!found) return found.error();
    for (const char* suffix : {"-wal", "-shm", ""}) {
        const std::string file = path + suffix;
        const int code = (*found)->xDelete(*found, file.c_str(), 1);
        if (code != SQLITE_OK && code != SQLITE_IOERR_DELETE_NOENT)
            return file_error(file, "cannot be removed", code);
    }
    return {};
}

}  // namespace millrace::sqlite
