// MemoryJournal: a crash journal that a test can write in and read.
//
// One thread.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/crash_journal.hpp"

namespace millrace::testing {

struct MemoryJournal final : engine::CrashJournal {
    std::shared_ptr<engine::CallSlot> open_slot(const engine::ShardIdentity&) override {
        return std::make_shared<engine::CallSlot>();
    }
    engine::HandlerCrashes load(const std::string& handler) const override {
        const auto found = history.find(handler);
        return found == history.end() ? engine::HandlerCrashes{} : found->second;
    }
    Result<void> save(const std::string& handler, engine::HandlerCrashes crashes) override {
        history[handler] = std::move(crashes);
        return {};
    }
    engine::CrashHistory history;
};

}  // namespace millrace::testing
