// CrashJournal: notes each call into a handler while it runs, so that the next start knows which
// one brought the process down; and keeps what is known of such crashes.
//
// Passed in, so that a simulation may play it; `CrashJournalFiles` is the real one, two files in
// the data directory: `calls` is mapped and holds the running calls, `crashes.json` the history.
// Thread rule: any thread; `save` blocks on the disk. Ownership: slots may outlive it. Errors: a
// journal that cannot be opened says so in the log, and then notes nothing; handlers run on.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "engine/call_slot.hpp"
#include "engine/crash_history.hpp"
#include "engine/handler.hpp"

namespace millrace::engine {

class CrashJournal {
public:
    virtual ~CrashJournal() = default;
    // The place of a shard's calls, until it is let go.
    virtual std::shared_ptr<CallSlot> open_slot(const ShardIdentity& shard) = 0;
    virtual HandlerCrashes load(const std::string& handler) const = 0;
    [[nodiscard]] virtual Result<void> save(const std::string& handler, HandlerCrashes crashes) = 0;
};

class CrashJournalFiles final : public CrashJournal {
public:
    static constexpr std::size_t kSlots = 4'096;  // shards at a time; further ones go unnoted

    // Takes the marks of the last process over into the history.
    explicit CrashJournalFiles(const std::string& directory);
    ~CrashJournalFiles() override;
    CrashJournalFiles(const CrashJournalFiles&) = delete;
    CrashJournalFiles& operator=(const CrashJournalFiles&) = delete;

    std::shared_ptr<CallSlot> open_slot(const ShardIdentity& shard) override;
    HandlerCrashes load(const std::string& handler) const override;
    Result<void> save(const std::string& handler, HandlerCrashes crashes) override;

private:
    class Slots;

    void read_history();
    void take_over_marks();
    Result<void> write();

    const std::string history_path_;
    std::shared_ptr<Slots> slots_;  // of its users too; null: nothing is noted
    mutable std::mutex mutex_;      // of the history: handlers save on threads of their own
    CrashHistory history_;
};

// From now on SEGV, BUS, FPE, ILL and ABRT mark the call that the crashing thread is in, and then
// do what they did before. A signal from outside, SIGKILL above all, blames nobody. Once, at start.
void install_crash_signals();

}  // namespace millrace::engine
