// Crashes of handlers: how they are noted, remembered, and judged.
#include "engine/crash_journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

#include "support/temporary_directory.hpp"

namespace millrace::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::TemporaryDirectory;

constexpr std::chrono::nanoseconds kNow{7};

CallPlace record_at(std::int64_t offset, int partition = 0) {
    return keep(make_position(CallKind::kRecord, "tasks", {partition}, Offset{offset}));
}

CrashMark mark(CallPlace place, int minute, std::string shard = "0") {
    return {Timestamp(std::chrono::minutes(minute)), SIGSEGV, std::move(shard), std::move(place)};
}

HandlerCrashes crashes_at(std::initializer_list<std::int64_t> offsets) {
    HandlerCrashes crashes;
    int minute = 0;
    for (const auto offset : offsets) add_mark(crashes, mark(record_at(offset), ++minute));
    return crashes;
}

TEST(CallSlot, a_running_call_can_be_read_by_others) {
    CallSlot slot;
    EXPECT_FALSE(slot.running());
    {
        const CallScope scope(slot, make_position(CallKind::kRecord, "tasks", {2}, Offset{17}),
                              kNow);
        const auto running = slot.running();
        ASSERT_TRUE(running);
        EXPECT_EQ(to_string(running->place), "tasks/2 offset 17");
        EXPECT_EQ(running->started, kNow);
    }
    EXPECT_FALSE(slot.running());
    EXPECT_EQ(CallSlot::of_this_thread(), nullptr);
}

TEST(CallSlot, a_reader_never_sees_half_a_position) {
    CallSlot slot;
    std::atomic<bool> done = false;
    std::thread writer([&] {
        const std::string names[] = {std::string(200, 'a'), "b"};
        for (int i = 0; i < 100'000; ++i) {
            const CallScope scope(
                slot, make_position(CallKind::kTimer, names[i % 2], {}, Offset{i % 2}), kNow);
        }
        done = true;
    });
    while (!done) {
        const auto running = slot.running();
        if (!running) continue;
        EXPECT_EQ(running->place.name.size(), running->place.offset.value == 0 ? 200U : 1U);
    }
    writer.join();
}

TEST(CallSlot, names_that_are_cut_alike_are_told_apart) {
    const std::string names[] = {std::string(300, 'x') + "1", std::string(300, 'x') + "2"};
    const auto one = make_position(CallKind::kTimer, names[0]);
    const auto other = make_position(CallKind::kTimer, names[1]);
    EXPECT_EQ(one.name, other.name);
    EXPECT_NE(one, other);
}

TEST(CrashHistory, a_position_is_given_up_after_as_many_crashes_as_the_limit) {
    EXPECT_THAT(condemned_inputs(crashes_at({5, 5}), 3), IsEmpty());
    const auto condemned = condemned_inputs(crashes_at({5, 9, 5, 5}), 3);
    ASSERT_THAT(condemned, SizeIs(1));
    EXPECT_EQ(condemned[0].crashes, 3U);
    EXPECT_EQ(condemned[0].first, Timestamp(std::chrono::minutes(1)));
    EXPECT_TRUE(condemned[0].is_at(view(record_at(5)), "whichever shard"));
    EXPECT_FALSE(condemned[0].is_at(view(record_at(9)), "0"));
}

TEST(CrashHistory, a_timer_is_its_shards_own) {
    HandlerCrashes crashes;
    const CallPlace timer = keep(make_position(CallKind::kTimer, "t", {-1}, Offset{4}));
    for (int i = 0; i < 3; ++i) add_mark(crashes, mark(timer, i, "1"));
    const auto condemned = condemned_inputs(crashes, 3);
    ASSERT_THAT(condemned, SizeIs(1));
    EXPECT_TRUE(condemned[0].is_at(view(timer), "1"));
    EXPECT_FALSE(condemned[0].is_at(view(timer), "2"));
}

TEST(CrashHistory, different_positions_within_the_window_are_a_reason_to_quarantine) {
    const milliseconds hour(3'600'000);
    EXPECT_FALSE(quarantine_reason({}, 3, hour));
    EXPECT_FALSE(quarantine_reason(crashes_at({5, 5, 5, 6}), 3, hour));
    const auto reason = quarantine_reason(crashes_at({5, 5, 6, 7}), 3, hour);
    ASSERT_TRUE(reason);
    EXPECT_THAT(*reason, HasSubstr("3 different positions"));
    EXPECT_THAT(*reason, HasSubstr("tasks/0 offset 7"));
    EXPECT_FALSE(quarantine_reason(crashes_at({5, 6, 7}), 3, milliseconds(60'000)));
}

TEST(CrashHistory, a_callback_without_an_input_that_keeps_crashing_is_one_too) {
    HandlerCrashes crashes;
    for (int i = 0; i < 3; ++i)
        add_mark(crashes, mark(keep(make_position(CallKind::kCreate, "")), i));
    const auto reason = quarantine_reason(crashes, 3, milliseconds(3'600'000));
    ASSERT_TRUE(reason);
    EXPECT_THAT(*reason, HasSubstr("3 times in create (shard 0)"));
}

TEST(CrashHistory, it_reads_what_it_wrote_whatever_the_names_are) {
    CrashHistory history;
    history["h"] = crashes_at({1, 2});
    add_mark(history["h"], mark(keep(make_position(CallKind::kTimer, "\xff\"\\")), 9));
    history["h"].quarantine = Quarantine{Timestamp(std::chrono::minutes(3)), "because"};
    const auto read = parse_crash_history(to_json(history));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->at("h").marks, history["h"].marks);
    ASSERT_TRUE(read->at("h").quarantine);
    EXPECT_EQ(read->at("h").quarantine->reason, "because");
    EXPECT_FALSE(parse_crash_history("{}"));
    EXPECT_FALSE(parse_crash_history("not json"));
}

// Whatever a sanitiser makes of the signal: it ends the process.
bool has_died(int status) { return status != 0; }

struct JournalFiles : ::testing::Test {
    // In a process of its own: what it does there is a crash.
    [[noreturn]] void crash(const std::function<void(CallSlot&)>& how) const {
        install_crash_signals();
        CrashJournalFiles journal(directory.path());
        const auto other = journal.open_slot({"handler", "0"});
        const auto slot = journal.open_slot({"handler", "1"});
        how(*slot);
        std::_Exit(0);
    }
    HandlerCrashes next_start() const {
        return CrashJournalFiles(directory.path()).load("handler");
    }
    TemporaryDirectory directory;
};
using CrashJournalDeathTest = JournalFiles;

CallView somewhere() { return make_position(CallKind::kRecord, "tasks", {2}, Offset{17}); }

TEST_F(CrashJournalDeathTest, a_crash_in_a_call_is_known_at_the_next_start_and_the_one_after) {
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
        EXPECT_EXIT(crash([&](CallSlot& slot) {
                        const CallScope call(slot, somewhere(), kNow);
                        std::raise(number);
                    }),
                    has_died, "");
        const auto marks = next_start().marks;
        ASSERT_FALSE(marks.empty());
        EXPECT_EQ(signal_name(marks.back().signal), signal_name(number));
        EXPECT_EQ(marks.back().shard, "1");
        EXPECT_EQ(to_string(marks.back().place), "tasks/2 offset 17");
    }
    EXPECT_THAT(next_start().marks, SizeIs(5));
}

TEST_F(CrashJournalDeathTest, a_crash_elsewhere_blames_nobody) {
    EXPECT_EXIT(crash([](CallSlot& slot) {
                    { const CallScope call(slot, somewhere(), kNow); }
                    std::abort();
                }),
                has_died, "");
    EXPECT_EXIT(crash([](CallSlot& slot) {
                    const CallScope call(slot, somewhere(), kNow);
                    std::thread([] { std::abort(); }).join();
                }),
                has_died, "");
    EXPECT_EXIT(crash([](CallSlot& slot) {
                    const CallScope call(slot, somewhere(), kNow);
                    std::raise(SIGKILL);
                }),
                has_died, "");
    EXPECT_THAT(next_start().marks, IsEmpty());
}

TEST_F(JournalFiles, a_history_is_kept_until_it_is_forgotten) {
    HandlerCrashes crashes = crashes_at({1});
    ASSERT_TRUE(CrashJournalFiles(directory.path()).save("handler", crashes));
    EXPECT_EQ(next_start().marks, crashes.marks);
    ASSERT_TRUE(CrashJournalFiles(directory.path()).save("handler", {}));
    EXPECT_THAT(next_start().marks, IsEmpty());
}

TEST_F(JournalFiles, files_that_cannot_be_read_are_begun_anew) {
    for (const char* name : {"/calls", "/crashes.json"})
        std::ofstream(directory.path() + name) << "something else";
    EXPECT_THAT(next_start().marks, IsEmpty());
    ASSERT_TRUE(CrashJournalFiles(directory.path()).save("handler", crashes_at({1})));
    EXPECT_THAT(next_start().marks, SizeIs(1));
}

TEST_F(JournalFiles, more_shards_than_slots_run_unnoted) {
    CrashJournalFiles journal(directory.path());
    std::vector<std::shared_ptr<CallSlot>> slots;
    for (std::size_t i = 0; i < CrashJournalFiles::kSlots + 2; ++i)
        slots.push_back(journal.open_slot({"handler", std::to_string(i)}));
    const CallScope call(*slots.back(), somewhere(), kNow);
    EXPECT_TRUE(slots.back()->running());
}

}  // namespace
}  // namespace millrace::engine
