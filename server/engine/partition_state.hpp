// PartitionState: what a handler's run knows of a partition that it was given: where it begins, how
// far it is, what holds it.
//
// Thread rule: the loop thread. Ownership: the HandlerRun's, from one assignment to its end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/metrics.hpp"
#include "core/runtime.hpp"
#include "engine/breaker.hpp"
#include "engine/fingerprint.hpp"
#include "engine/lost_position.hpp"
#include "engine/partition_progress.hpp"
#include "engine/position_file.hpp"

namespace millrace::engine {

struct PartitionState {
    explicit PartitionState(const BreakerSection& breaker_section) : breaker(breaker_section) {}
    Epoch epoch;
    std::uint64_t turn = 0;           // another one each time reading begins or is checked
    std::optional<Offset> committed;  // by the group, at assignment
    SavedPosition saved;
    FingerprintTrail trail;
    std::optional<LostPosition> lost;  // to be decided on
    bool accepting = false;            // it was decided on: what else contradicts is accepted too
    bool resetting = false;            // the shards forget it: what comes of it is dropped
    std::function<void()> settled;     // it is read now, or held
    std::shared_ptr<Strand> decoder;
    std::optional<std::size_t> shard;  // its own, when the state is per partition
    PartitionProgress progress;
    bool reading = false;    // the consumer was told where to begin
    bool started = false;    // the log said where reading began
    bool let_go = false;     // revoked: what still comes of it is dropped, and read again
    bool forgotten = false;  // and its shards were told to forget it
    std::string held;        // why it is not read
    std::string bound;       // the limit at which reading has stopped; empty: none
    Breaker breaker;
    std::unique_ptr<Timer> probe_timer;
    std::size_t probed_shard = 0;  // the one that is asked for a probe
    std::size_t probes_asked = 0;
    Offset last_published{-1};
    std::chrono::nanoseconds last_progress{0};
    std::shared_ptr<Gauge> lag_records;
    std::shared_ptr<Gauge> lag_seconds;
    std::shared_ptr<Gauge> held_gauge;
    std::string holder_reason;  // of the series below
    std::shared_ptr<Gauge> holder_gauge;
};

}  // namespace millrace::engine
