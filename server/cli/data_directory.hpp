// DataDirectory: the one folder that a server writes to, locked by one process at a time.
//
//   lock · installation-id · admin-token (0600) · log/ (embedded) · handlers/<name>/ · plugins/
//   (copies that are loaded)
//
// Thread rule: start-up. Ownership: holds the lock while it lives. Errors: throws ErrorException
// with what to do.
#pragma once

#include <string>

#include "core/clock.hpp"

namespace millrace::cli {

class DataDirectory {
public:
    // Made if it is not there. Throws if another process holds it.
    DataDirectory(const std::string& path, Random& random);
    ~DataDirectory();
    DataDirectory(const DataDirectory&) = delete;
    DataDirectory& operator=(const DataDirectory&) = delete;

    const std::string& path() const { return path_; }
    // Names this installation among the members of its consumer groups; made once.
    const std::string& installation_id() const { return installation_id_; }
    // The configured one, else the one in the file, made once.
    std::string admin_token(const std::string& configured);

private:
    std::string path_;
    std::string installation_id_;
    int lock_ = -1;
    Random& random_;
};

// The token that a server with this data directory expects; empty: there is no file.
std::string read_admin_token(const std::string& data_dir);

}  // namespace millrace::cli
