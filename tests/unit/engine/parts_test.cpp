// The small parts of the engine by themselves: watermark, ring, lanes, attempts, progress, router,
// backoff.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/attempts.hpp"
#include "engine/backoff.hpp"
#include "engine/dedupe_ring.hpp"
#include "engine/lanes.hpp"
#include "engine/offset_tracker.hpp"
#include "engine/partition_progress.hpp"
#include "engine/router.hpp"
#include "support/manual_runtime.hpp"

namespace millrace::engine {
namespace {

using Arrival = OffsetTracker::Arrival;

TEST(OffsetTracker, the_watermark_follows_the_lowest_open_offset_over_gaps) {
    OffsetTracker tracker;
    for (std::int64_t offset : {3, 7, 8, 20}) EXPECT_EQ(tracker.receive({offset}), Arrival::kNew);
    tracker.resolve({7});
    EXPECT_EQ(tracker.lowest_unresolved(), Offset{3});
    tracker.resolve({3});
    EXPECT_EQ(tracker.watermark(), Offset{8});
    tracker.resolve({20});
    tracker.resolve({8});
    EXPECT_EQ(tracker.watermark(), Offset{21});
    EXPECT_EQ(tracker.lowest_unresolved(), std::nullopt);
    EXPECT_EQ(tracker.interval_count(), 0U);
}

TEST(OffsetTracker, intervals_of_an_earlier_life_count_when_they_are_received_again) {
    OffsetTracker tracker({1}, {{{3}, {3}}, {{5}, {6}}, {{8}, {8}}});
    EXPECT_EQ(tracker.interval_count(), 0U);
    (void)tracker.receive({1});
    (void)tracker.receive({2});
    EXPECT_EQ(tracker.interval_count(), 0U);
    for (std::int64_t offset : {3, 4, 5}) (void)tracker.receive({offset});
    EXPECT_EQ(tracker.interval_count(), 2U);
    for (std::int64_t offset : {1, 2, 4}) tracker.resolve({offset});
    EXPECT_EQ(tracker.interval_count(), 0U);
    EXPECT_EQ(tracker.watermark(), Offset{7});
    for (std::int64_t offset : {6, 7, 8, 9}) (void)tracker.receive({offset});
    EXPECT_EQ(tracker.interval_count(), 1U);
}

TEST(OffsetTracker, resolved_neighbours_become_one_interval_and_survive_a_restart) {
    OffsetTracker tracker;
    for (std::int64_t offset : {1, 4, 6, 9}) (void)tracker.receive({offset});
    for (std::int64_t offset : {4, 9, 6}) tracker.resolve({offset});
    const auto changes = tracker.take_changes();
    EXPECT_THAT(changes.added, ::testing::ElementsAre(OffsetInterval{{4}, {9}}));

    OffsetTracker again(tracker.watermark(), changes.added);
    EXPECT_EQ(again.receive({1}), Arrival::kNew);
    EXPECT_EQ(again.receive({4}), Arrival::kResolved);
    EXPECT_EQ(again.receive({6}), Arrival::kResolved);
    EXPECT_EQ(again.receive({9}), Arrival::kResolved);
    EXPECT_EQ(again.receive({10}), Arrival::kNew);
    again.resolve({1});
    EXPECT_EQ(again.watermark(), Offset{10});
    const auto after = again.take_changes();
    EXPECT_THAT(after.removed, ::testing::ElementsAre(Offset{4}));
}

TEST(OffsetTracker, what_is_open_is_known_and_what_was_forgotten_comes_anew) {
    OffsetTracker tracker;
    (void)tracker.receive({5});
    (void)tracker.receive({6});
    EXPECT_EQ(tracker.receive({5}), Arrival::kKnown);
    tracker.resolve({6});
    tracker.forget_open();
    EXPECT_EQ(tracker.receive({5}), Arrival::kNew);
    EXPECT_EQ(tracker.receive({6}), Arrival::kResolved);
}

// Against a model that keeps everything, over restarts that read again from the lowest open offset
// in small steps: nothing that was open is ever taken for resolved, and nothing resolved for open.
TEST(OffsetTracker, is_exact_over_restarts_in_any_order_of_resolution) {
    testing::SeededRandom random;
    for (int round = 0; round < 200; ++round) {
        OffsetTracker tracker;
        std::map<std::int64_t, bool> model;  // offset -> resolved
        std::map<Offset, Offset> stored;
        std::vector<std::int64_t> open;
        std::vector<std::int64_t> log;
        for (std::int64_t offset = 0; offset < 60; ++offset) {
            if (random.next() % 3 != 0) log.push_back(offset);
        }
        std::size_t at = 0;
        for (int step = 0; step < 200; ++step) {
            const auto chance = random.next() % 20;
            if (chance < 10 && at < log.size()) {
                const std::int64_t offset = log[at++];
                const bool resolved = model.contains(offset) && model[offset];
                ASSERT_EQ(tracker.receive({offset}), resolved ? Arrival::kResolved : Arrival::kNew);
                model.emplace(offset, false);
                if (!resolved) open.push_back(offset);
            } else if (chance < 19 && !open.empty()) {
                const auto which = static_cast<std::ptrdiff_t>(random.next() % open.size());
                tracker.resolve({open[static_cast<std::size_t>(which)]});
                model[open[static_cast<std::size_t>(which)]] = true;
                open.erase(open.begin() + which);
            } else if (chance == 19) {
                const auto changes = tracker.take_changes();
                for (auto first : changes.removed) stored.erase(first);
                for (auto added : changes.added) stored[added.first] = added.last;
                std::vector<OffsetInterval> intervals;
                for (auto [first, last] : stored) intervals.push_back({first, last});
                const auto lowest = std::ranges::min_element(open);
                const auto next = lowest == open.end() ? (at < log.size() ? log[at] : 60) : *lowest;
                tracker = OffsetTracker(tracker.watermark(), intervals);
                open.clear();
                at = static_cast<std::size_t>(std::ranges::lower_bound(log, next) - log.begin());
            }
            const auto lowest = std::ranges::min_element(open);
            ASSERT_EQ(tracker.lowest_unresolved(),
                      lowest == open.end() ? std::nullopt : std::optional(Offset{*lowest}));
        }
    }
}

TEST(OffsetTracker, an_interval_whose_neighbour_is_not_read_again_yet_hides_nothing) {
    OffsetTracker tracker(Offset{5}, {{{6}, {9}}, {{13}, {20}}});
    EXPECT_EQ(tracker.receive({5}), Arrival::kNew);
    tracker.resolve({5});
    EXPECT_EQ(tracker.receive({9}), Arrival::kResolved);
    EXPECT_EQ(tracker.receive({12}), Arrival::kNew);
    tracker.resolve({12});
    EXPECT_EQ(tracker.receive({13}), Arrival::kResolved);
    EXPECT_EQ(tracker.watermark(), Offset{21});
}

Identity identity(int n) { return IdentityBuilder("test").add(std::int64_t{n}).finish(); }

TEST(DedupeRing, remembers_the_last_n_and_forgets_the_oldest) {
    DedupeRing ring(3);
    for (int n = 0; n < 4; ++n) ring.insert(identity(n));
    EXPECT_FALSE(ring.contains(identity(0)));
    EXPECT_TRUE(ring.contains(identity(1)));
    EXPECT_TRUE(ring.contains(identity(3)));
}

TEST(DedupeRing, a_rolled_back_batch_leaves_it_as_it_was) {
    DedupeRing ring(2);
    ring.insert(identity(0));
    ring.insert(identity(1));
    ring.commit();
    ring.insert(identity(2));
    ring.insert(identity(3));
    ring.insert(identity(4));
    ring.roll_back();
    EXPECT_TRUE(ring.contains(identity(0)));
    EXPECT_TRUE(ring.contains(identity(1)));
    EXPECT_FALSE(ring.contains(identity(4)));
    EXPECT_TRUE(ring.uncommitted().empty());
}

InputPtr input(std::uint64_t id) {
    auto made = std::make_unique<Input>();
    made->id = id;
    return made;
}

TEST(Lanes, a_lane_whose_first_input_waits_does_not_delay_the_others) {
    Lanes lanes;
    lanes.add("a", input(1));
    lanes.add("a", input(2));
    lanes.add("b", input(3));
    Input* first = lanes.next();
    ASSERT_EQ(first->id, 1U);
    first->state = InputState::kWaiting;
    EXPECT_EQ(lanes.take(*lanes.next())->id, 3U);
    EXPECT_EQ(lanes.next(), nullptr);
    first->state = InputState::kReady;
    lanes.wake(*first);
    EXPECT_EQ(lanes.take(*lanes.next())->id, 1U);
    EXPECT_EQ(lanes.take(*lanes.next())->id, 2U);
    EXPECT_EQ(lanes.size(), 0U);
}

TEST(Lanes, undone_work_comes_again_before_what_was_behind_it) {
    Lanes lanes;
    lanes.add("a", input(1));
    lanes.add("a", input(2));
    lanes.add("a", input(3));
    auto first = lanes.take(*lanes.next());
    auto second = lanes.take(*lanes.next());
    lanes.put_back("a", std::move(second));
    lanes.put_back("a", std::move(first));
    for (std::uint64_t expected : {1U, 2U, 3U}) EXPECT_EQ(lanes.take(*lanes.next())->id, expected);
}

TEST(Lanes, removing_keeps_the_order_of_the_rest) {
    Lanes lanes;
    for (std::uint64_t id = 1; id <= 5; ++id) lanes.add("a", input(id));
    lanes.remove_if([](const Input& candidate) { return candidate.id % 2 == 1; });
    EXPECT_EQ(lanes.size(), 2U);
    EXPECT_EQ(lanes.take(*lanes.next())->id, 2U);
    EXPECT_EQ(lanes.take(*lanes.next())->id, 4U);
}

TEST(Attempts, what_lies_below_the_beginning_of_a_partition_that_came_back_is_forgotten) {
    testing::ManualClock clock;
    const auto input_at = [](int partition, std::int64_t offset) {
        auto batch = std::make_shared<RecordBatch>();
        batch->origin = {"tasks", {partition}};
        batch->records.resize(1);
        batch->records[0].offset = Offset{offset};
        auto decoded = std::make_shared<DecodedBatch>(batch);
        decoded->events.resize(1);
        decoded->events[0].record = batch->records.data();
        auto input = std::make_unique<Input>();
        input->batch = decoded;
        input->event = decoded->events.data();
        input->failure = Failure{"handler", "away"};
        return input;
    };
    Attempts attempts;
    for (const std::int64_t offset : {9, 10, 100})
        attempts.keep(*input_at(1, offset), clock.now(), std::chrono::nanoseconds(0));
    attempts.keep(*input_at(12, 1), clock.now(), std::chrono::nanoseconds(0));
    attempts.saved();
    attempts.forget_below({"tasks", {1}}, Offset{10});
    EXPECT_TRUE(attempts.changed());
    EXPECT_FALSE(attempts.restore(*input_at(1, 9), clock));
    EXPECT_TRUE(attempts.restore(*input_at(1, 10), clock));
    EXPECT_TRUE(attempts.restore(*input_at(1, 100), clock));
    EXPECT_TRUE(attempts.restore(*input_at(12, 1), clock));
}

TEST(PartitionProgress, waits_for_what_is_on_its_way_to_a_shard) {
    PartitionProgress progress;
    progress.start(Offset{10});
    progress.dispatched(Offset{20}, {}, {{0, 1, Offset{10}}, {1, 2, Offset{12}}});
    EXPECT_EQ(progress.position(), Offset{10});
    progress.reported({0, 1, std::nullopt, std::nullopt, 0, nullptr});
    EXPECT_EQ(progress.position(), Offset{12});
    progress.reported({1, 2, Offset{15}, std::nullopt, 0, nullptr});
    EXPECT_EQ(progress.position(), Offset{15});
    progress.reported({1, 2, std::nullopt, std::nullopt, 0, nullptr});
    EXPECT_EQ(progress.position(), Offset{20});
}

TEST(PartitionProgress, events_of_an_earlier_assignment_hold_the_published_position_together) {
    PartitionProgress progress;
    progress.start(Offset{16});
    progress.hold_published(0, Offset{14});
    progress.hold_published(1, Offset{7});
    progress.reached_end(Offset{16});
    EXPECT_EQ(progress.published(), Offset{7});
    progress.reported({1, 0, std::nullopt, std::nullopt, 0, nullptr, true});
    EXPECT_EQ(progress.published(), Offset{14});
}

TEST(PartitionProgress, the_published_position_does_not_pass_an_unsent_event) {
    PartitionProgress progress;
    progress.start(Offset{0});
    progress.dispatched(Offset{5}, {}, {{0, 1, Offset{0}}});
    progress.reported({0, 1, std::nullopt, Offset{2}, 0, nullptr});
    EXPECT_EQ(progress.position(), Offset{5});
    EXPECT_EQ(progress.published(), Offset{2});
    progress.reported({0, 1, std::nullopt, std::nullopt, 0, nullptr});
    EXPECT_EQ(progress.published(), Offset{5});
}

TEST(PartitionProgress, an_end_without_records_is_progress_too) {
    PartitionProgress progress;
    progress.start(Offset{3});
    progress.reached_end(Offset{9});
    EXPECT_EQ(progress.position(), Offset{9});
    EXPECT_TRUE(progress.idle());
}

TEST(Router, user_then_key_then_partition_decide_the_lane) {
    Record record;
    DecodedEvent event;
    event.record = &record;
    EXPECT_EQ(lane_of(event, false, "p"), "p");
    record.key = "k";
    EXPECT_EQ(lane_of(event, false, "p"), "k");
    event.envelope.user_id = "u";
    EXPECT_EQ(lane_of(event, false, "p"), "u");
    EXPECT_EQ(lane_of(event, true, "p"), "k");
}

TEST(Backoff, doubles_up_to_the_maximum_and_keeps_half_of_it_at_least) {
    testing::SeededRandom random;
    const RetrySection retry{milliseconds(20'000), milliseconds(100), milliseconds(1'000), 2.0};
    for (std::uint32_t failures : {1U, 2U, 3U, 10U, 1000U}) {
        const auto full =
            std::min<std::int64_t>(1'000, failures > 4 ? 1'000 : 100 << (failures - 1));
        for (int i = 0; i < 100; ++i) {
            const auto delay = backoff(retry, failures, random).count();
            EXPECT_GE(delay, full / 2);
            EXPECT_LE(delay, full);
        }
    }
}

}  // namespace
}  // namespace millrace::engine
