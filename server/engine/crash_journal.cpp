#include "engine/crash_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <utility>

#include "core/log.hpp"
#include "core/replace_file.hpp"

namespace millrace::engine {
namespace {

constexpr std::size_t kHeaderBytes = 4'096;
constexpr std::size_t kSlotBytes = 1'024;
constexpr std::size_t kFileBytes = kHeaderBytes + CrashJournalFiles::kSlots * kSlotBytes;
// Changes with the layout of a slot: what an older server left is not read.
constexpr std::string_view kMagic = "millrace calls 1\n";

static_assert(sizeof(CallSlot) <= kSlotBytes && kSlotBytes % alignof(CallSlot) == 0);

// With room on the disk for all of it: a store into a hole would be a SIGBUS when the disk is full.
Result<int> open_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return fail(ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
    std::array<char, kMagic.size()> magic{};
    const bool known = ::pread(file, magic.data(), magic.size(), 0) == std::ssize(magic) &&
                       std::string_view(magic.data(), magic.size()) == kMagic;
    int error = !known && ::ftruncate(file, 0) != 0 ? errno : 0;
    if (error == 0) error = ::posix_fallocate(file, 0, static_cast<off_t>(kFileBytes));
    if (error == 0) return file;
    ::close(file);
    return fail(ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(error)));
}

}  // namespace

// The mapped file, and which of its slots are free.
class CrashJournalFiles::Slots {
public:
    explicit Slots(std::byte* bytes) : bytes_(bytes) {
        for (std::size_t i = kSlots; i-- > 0;) free_.push_back(&slot(i));
    }
    ~Slots() { ::munmap(bytes_, kFileBytes); }
    Slots(const Slots&) = delete;
    Slots& operator=(const Slots&) = delete;

    static Result<std::shared_ptr<Slots>> open(const std::string& path) {
        auto file = open_file(path);
        if (!file) return file.error();
        void* const at = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, *file, 0);
        const int error = errno;
        ::close(*file);
        if (at == MAP_FAILED)
            return fail(ErrorCode::kIo, fmt::format("{}: {}", path, std::strerror(error)));
        return std::make_shared<Slots>(static_cast<std::byte*>(at));
    }

    CallSlot& slot(std::size_t index) const {
        return *std::launder(
            reinterpret_cast<CallSlot*>(bytes_ + kHeaderBytes + index * kSlotBytes));
    }
    void clear() {
        for (std::size_t i = 0; i < kSlots; ++i)
            if (slot(i).started().count() != 0 || slot(i).crash()) new (&slot(i)) CallSlot();
        std::memcpy(bytes_, kMagic.data(), kMagic.size());
    }

    CallSlot* take() {
        const std::lock_guard lock(mutex_);
        if (free_.empty()) {
            if (!std::exchange(exhausted_, true))
                log::warn("engine", "more than {} shards: crashes of the others are not noted",
                          kSlots);
            return nullptr;
        }
        CallSlot* const taken = free_.back();
        free_.pop_back();
        return taken;
    }
    void give_back(CallSlot* used) {
        const std::lock_guard lock(mutex_);
        free_.push_back(used);
    }

private:
    std::byte* bytes_;
    std::mutex mutex_;
    std::vector<CallSlot*> free_;
    bool exhausted_ = false;
};

CrashJournalFiles::CrashJournalFiles(const std::string& directory)
    : history_path_(directory + "/crashes.json") {
    read_history();
    auto slots = Slots::open(directory + "/calls");
    if (!slots) {
        log::error("engine", "crashes of handlers are not noted: {}", slots.error().message);
        return;
    }
    slots_ = std::move(*slots);
    take_over_marks();
    slots_->clear();
}

CrashJournalFiles::~CrashJournalFiles() = default;

void CrashJournalFiles::read_history() {
    std::ifstream file(history_path_, std::ios::binary);
    if (!file) return;
    auto parsed = parse_crash_history(std::string(std::istreambuf_iterator<char>(file), {}));
    if (parsed)
        history_ = std::move(*parsed);
    else
        log::error("engine", "{} is not read, the history of crashes begins anew: {}",
                   history_path_, parsed.error().message);
}

void CrashJournalFiles::take_over_marks() {
    bool any = false;
    for (std::size_t i = 0; i < kSlots; ++i) {
        const auto crash = slots_->slot(i).crash();
        if (!crash) continue;
        any = true;
        log::error("engine", "{}: it crashed the process ({}) in shard {} at {}", crash->handler,
                   signal_name(crash->signal), crash->shard, to_string(crash->place));
        add_mark(history_[crash->handler],
                 {crash->time, crash->signal, crash->shard, crash->place});
    }
    if (!any) return;
    auto written = write();
    if (!written) log::error("engine", "{}", written.error().message);
}

std::shared_ptr<CallSlot> CrashJournalFiles::open_slot(const ShardIdentity& shard) {
    CallSlot* const slot = slots_ ? slots_->take() : nullptr;
    if (slot == nullptr) return std::make_shared<CallSlot>();
    slot->assign(shard.handler, shard.shard);
    return {slot, [slots = slots_](CallSlot* used) { slots->give_back(used); }};
}

HandlerCrashes CrashJournalFiles::load(const std::string& handler) const {
    const std::lock_guard lock(mutex_);
    const auto found = history_.find(handler);
    return found == history_.end() ? HandlerCrashes{} : found->second;
}

Result<void> CrashJournalFiles::save(const std::string& handler, HandlerCrashes crashes) {
    const std::lock_guard lock(mutex_);
    if (crashes.marks.empty() && !crashes.quarantine)
        history_.erase(handler);
    else
        history_[handler] = std::move(crashes);
    return write();
}

Result<void> CrashJournalFiles::write() {
    return replace_file(history_path_, to_json(history_), 0644);
}

}  // namespace millrace::engine
