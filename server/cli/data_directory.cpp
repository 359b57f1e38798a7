#include "cli/data_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/replace_file.hpp"
#include "core/result.hpp"
#include "events/ids.hpp"

namespace millrace::cli {
namespace {

[[noreturn]] void refuse(ErrorCode code, std::string message) {
    throw ErrorException(fail(code, std::move(message)));
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

void write_file(const std::string& path, const std::string& line, int mode) {
    auto written = replace_file(path, line + "\n", mode);
    if (!written) refuse(written.error().code, written.error().message);
}

}  // namespace

DataDirectory::DataDirectory(const std::string& path, Random& random)
    : path_(path), random_(random) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error)
        refuse(ErrorCode::kIo,
               fmt::format("server.data_dir: {} cannot be made: {}", path, error.message()));
    const std::string lock = path + "/lock";
    lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock_ < 0)
        refuse(ErrorCode::kIo, fmt::format("{}: {}; the server must be able to write there", lock,
                                           std::strerror(errno)));
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        ::close(lock_);
        refuse(ErrorCode::kConflict, fmt::format("{} is in use by another millrace (process {}); "
                                                 "stop it, or give this one its own --data-dir",
                                                 path, first_line(lock)));
    }
    const std::string process = fmt::format("{}\n", ::getpid());
    if (::ftruncate(lock_, 0) != 0 || ::write(lock_, process.data(), process.size()) < 0) {
        refuse(ErrorCode::kIo, fmt::format("{}: {}", lock, std::strerror(errno)));
    }
    installation_id_ = first_line(path + "/installation-id");
    if (!installation_id_.empty()) return;
    installation_id_ = random_uuid(random).substr(0, 8);
    write_file(path + "/installation-id", installation_id_, 0644);
}

DataDirectory::~DataDirectory() { ::close(lock_); }

std::string DataDirectory::admin_token(const std::string& configured) {
    if (!configured.empty()) return configured;
    std::string token = read_admin_token(path_);
    if (!token.empty()) return token;
    token = fmt::format("{:016x}{:016x}", random_.next(), random_.next());
    write_file(path_ + "/admin-token", token, 0600);
    return token;
}

std::string read_admin_token(const std::string& data_dir) {
    return first_line(data_dir + "/admin-token");
}

}  // namespace millrace::cli
