#include "core/replace_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace millrace {
namespace {

bool write_whole(int file, std::string_view text) {
    while (!text.empty()) {
        const auto written = ::write(file, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

bool write_new(const std::string& path, std::string_view text, int mode) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (file < 0) return false;
    const bool written = write_whole(file, text) && ::fsync(file) == 0;
    const int error = errno;
    ::close(file);
    errno = error;
    return written;
}

// The new name is durable with its folder.
bool sync_folder(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path();
    const int file =
        ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return false;
    const bool synced = ::fsync(file) == 0;
    const int error = errno;
    ::close(file);
    errno = error;
    return synced;
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view text, int mode) {
    const std::string temporary = path + ".new";
    if (!write_new(temporary, text, mode) || std::rename(temporary.c_str(), path.c_str()) != 0 ||
        !sync_folder(path)) {
        return fail(ErrorCode::kIo,
                    fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
    }
    return {};
}

}  // namespace millrace
