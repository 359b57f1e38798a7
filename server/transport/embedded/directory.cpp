#include "transport/embedded/directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace millrace::embedded {
namespace {

Error cannot(const std::filesystem::path& path, const char* what, std::error_code error) {
    return fail(ErrorCode::kIo, fmt::format("{}: {}: {}", path.string(), what, error.message()));
}

Result<void> sync_directory(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = file >= 0 && ::fsync(file) == 0;
    const std::error_code error(errno, std::generic_category());
    if (file >= 0) ::close(file);
    if (!synced) return cannot(path, "cannot be made durable", error);
    return {};
}

}  // namespace

Result<void> make_directory(const std::string& path) {
    const std::filesystem::path directory = std::filesystem::absolute(path).lexically_normal();
    std::error_code error;
    if (std::filesystem::is_directory(directory, error)) return {};
    const std::filesystem::path above = directory.parent_path();
    if (above != directory) {
        if (auto made = make_directory(above.string()); !made) return made;
    }
    std::filesystem::create_directory(directory, error);
    if (error) return cannot(directory, "cannot be created", error);
    return sync_directory(above);
}

}  // namespace millrace::embedded
