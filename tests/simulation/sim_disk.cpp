#include "simulation/sim_disk.hpp"

#include <sqlite3.h>

#include <algorithm>

namespace millrace::simulation {
namespace {

constexpr std::int64_t kSector = 512;

void lay_down(std::string& content, const Disk::Write& write) {
    if (write.offset < 0) {
        content.resize(static_cast<std::size_t>(write.size), '\0');
        return;
    }
    const auto end = static_cast<std::size_t>(write.offset) + write.bytes.size();
    if (content.size() < end) content.resize(end, '\0');
    content.replace(static_cast<std::size_t>(write.offset), write.bytes.size(), write.bytes);
}

bool is_below(const std::string& path, const std::string& folder) {
    return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

}  // namespace

Disk* Disk::current = nullptr;

void Disk::operation(std::uint64_t kind) {
    ++operations_;
    scheduler_.mix(kind);
    if (before_operation) before_operation();
}

Disk::FilePtr Disk::open(const std::string& path, bool create) {
    ++openings_[path];
    const auto found = files_.find(path);
    if (found != files_.end()) return found->second;
    if (!create) return nullptr;
    auto file = std::make_shared<File>();
    file->path = path;
    files_[path] = file;
    return file;
}

void Disk::remove(const std::string& path, bool durably) {
    const auto found = files_.find(path);
    if (found == files_.end()) return;
    found->second->gone = true;
    if (found->second->linked) unlinked_[path] = found->second;
    files_.erase(found);
    if (durably) sync_folder(path);
}

void Disk::sync_folder(const std::string& path) {
    const std::string folder = path.substr(0, path.rfind('/'));
    const auto beside = [&](const std::string& other) {
        return is_below(other, folder) && other.rfind('/') == folder.size();
    };
    for (auto& [other, file] : files_) file->linked = file->linked || beside(other);
    std::erase_if(unlinked_, [&](const auto& entry) { return beside(entry.first); });
}

void Disk::write(File& file, std::int64_t offset, const void* bytes, std::size_t size) {
    Write write{++next_write_, offset, 0, std::string(static_cast<const char*>(bytes), size)};
    lay_down(file.content, write);
    if (!file.gone) file.unsynced.push_back(std::move(write));
}

void Disk::truncate(File& file, std::int64_t size) {
    Write write{++next_write_, -1, size, {}};
    lay_down(file.content, write);
    if (!file.gone) file.unsynced.push_back(std::move(write));
}

// Others run meanwhile: what they write is not covered.
void Disk::sync(File& file) {
    const std::uint64_t covered = next_write_;
    const DiskFaults* faults = faults_of(file.path);
    if (faults != nullptr && faults->sync_takes.count() > 0) {
        ++syncing_;
        scheduler_.sleep(
            nanoseconds(random_.below(static_cast<std::uint64_t>(faults->sync_takes.count()))));
        --syncing_;
    }
    while (!file.unsynced.empty() && file.unsynced.front().number <= covered) {
        lay_down(file.durable, file.unsynced.front());
        file.unsynced.pop_front();
    }
    file.linked = true;  // as ext4, XFS and Btrfs do for a file that is new
}

void Disk::apply_torn(std::string& content, const Write& write) {
    if (write.offset < 0) return;
    const std::int64_t end = write.offset + static_cast<std::int64_t>(write.bytes.size());
    for (std::int64_t at = write.offset; at < end;) {
        const std::int64_t next = std::min(end, (at / kSector + 1) * kSector);
        if (random_.chance(0.5)) {
            lay_down(content, {0, at, 0,
                               write.bytes.substr(static_cast<std::size_t>(at - write.offset),
                                                  static_cast<std::size_t>(next - at))});
        }
        at = next;
    }
}

Disk::FilePtr Disk::after_crash(const File& file, CrashKind kind) {
    auto left = std::make_shared<File>();
    left->path = file.path;
    if (kind == CrashKind::kProcess) {
        // Still in the system's cache: neither lost nor durable.
        left->content = file.content;
        left->durable = file.durable;
        left->unsynced = file.unsynced;
        left->linked = file.linked;
        return left;
    }
    if (!file.linked && (kind == CrashKind::kPowerLoss || random_.chance(0.5))) return nullptr;
    left->durable = file.durable;
    left->linked = true;
    if (kind == CrashKind::kTorn) {
        const double kept = random_.unit();
        const bool in_order = random_.chance(0.4);  // the last of what is kept is torn
        for (const auto& write : file.unsynced) {
            const bool whole = random_.chance(kept);
            if (whole)
                lay_down(left->durable, write);
            else if (in_order || random_.chance(0.3))
                apply_torn(left->durable, write);
            if (!whole && in_order) break;
        }
    }
    left->content = left->durable;
    return left;
}

void Disk::crash(const std::string& folder, CrashKind kind) {
    std::map<std::string, FilePtr> left;
    for (auto& [path, file] : files_) {
        if (!is_below(path, folder)) continue;
        file->gone = true;
        left[path] = after_crash(*file, kind);
    }
    for (auto entry = unlinked_.begin(); entry != unlinked_.end();) {
        if (!is_below(entry->first, folder)) {
            ++entry;
            continue;
        }
        auto& there = left[entry->first];
        if (!there && kind != CrashKind::kProcess && random_.chance(0.5)) {
            there = after_crash(*entry->second, CrashKind::kPowerLoss);
        }
        entry = kind == CrashKind::kProcess ? std::next(entry) : unlinked_.erase(entry);
    }
    for (auto& [path, file] : left) {
        if (file)
            files_[path] = file;
        else
            files_.erase(path);
    }
}

void Disk::copy_after_crash(const std::string& folder, CrashKind kind, const std::string& target) {
    remove_all(target);
    std::map<std::string, FilePtr> copies;
    for (const auto& [path, file] : files_) {
        if (!is_below(path, folder)) continue;
        auto copy = after_crash(*file, kind);
        if (!copy) continue;
        copy->path = target + path.substr(folder.size());
        copies[copy->path] = copy;
    }
    for (auto& [path, file] : copies) files_[path] = file;
}

void Disk::remove_all(const std::string& folder) {
    for (auto* map : {&files_, &unlinked_})
        std::erase_if(*map, [&](const auto& entry) { return is_below(entry.first, folder); });
}

std::vector<std::string> Disk::list(const std::string& folder) const {
    std::vector<std::string> paths_below;
    for (const auto& [path, file] : files_) {
        if (is_below(path, folder)) paths_below.push_back(path);
    }
    return paths_below;
}

DiskFaults* Disk::faults_of(const std::string& path) {
    for (auto& [folder, faults] : faults_) {
        if (is_below(path, folder)) return &faults;
    }
    return nullptr;
}

bool Disk::limit_pages(const std::string& folder, bool limited) {
    if (syncing_ > 0) return false;
    for (const auto& [file, connection] : connections_) {
        const auto path = paths.find(file);
        if (path == paths.end() || !is_below(path->second, folder)) continue;
        sqlite3_exec(connection,
                     limited ? "PRAGMA max_page_count=1" : "PRAGMA max_page_count=1073741823",
                     nullptr, nullptr, nullptr);
    }
    return true;
}

}  // namespace millrace::simulation
