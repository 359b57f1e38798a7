// Model: the handler of the simulation. What it does with an event is written in the event
// (script.hpp); what it did stands in its one table, `log`, and is told to a witness.
//
// Thread rule: as of any handler. Ownership: a factory belongs to one life of a process; witness
// and scheduler outlive it.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "engine/handler.hpp"
#include "simulation/script.hpp"
#include "simulation/sim_runtime.hpp"

namespace millrace::simulation {

struct CallNote {
    std::string process;
    std::string handler;
    std::string shard;
    TopicPartition origin;
    Offset offset{-1};
    std::string serial;
    std::uint32_t attempt = 0;
    bool completion = false;  // of a record that was pending
    engine::OutcomeKind kind = engine::OutcomeKind::kAck;
    std::string outcome;  // for people

    bool failed() const {
        return kind == engine::OutcomeKind::kRetry || kind == engine::OutcomeKind::kDeadLetter;
    }
};

// What the handler depends on outside.
struct Outside {
    bool is_away = false;
    std::set<std::string> cured;  // serials of events that no longer die
};

class Witness {
public:
    virtual ~Witness() = default;
    virtual void on_called(const CallNote& note) = 0;
    // The plugin completes a record that is pending.
    virtual void on_completing(const std::string& process, const std::string& handler,
                               const TopicPartition& origin, Offset offset) = 0;
    virtual void on_fault(const std::string& what) = 0;
};

struct ModelSetup {
    std::string process;
    std::string handler;
    engine::StateKind state = engine::StateKind::kPerUser;
    bool keeps_instance = false;  // what on_rollback answers
    milliseconds timeout{0};
    milliseconds pending_timeout{0};
    Scheduler& scheduler;
    LifePtr life;
    const Outside& outside;
    Witness& witness;
};

class ModelFactory final : public engine::HandlerFactory {
public:
    explicit ModelFactory(ModelSetup setup);

    const engine::HandlerTraits& traits() const override { return traits_; }
    Result<void> migrate(engine::ShardServices& services, std::uint32_t from_version) override;
    Result<std::unique_ptr<engine::HandlerInstance>> create(
        const engine::ShardIdentity& shard, engine::ShardServices& services) override;
    Result<std::string> merge(std::string_view question,
                              std::span<const std::pair<std::string, std::string>> parameters,
                              std::span<const std::string> answers) override;

private:
    ModelSetup setup_;
    engine::HandlerTraits traits_;
    SimStrand completer_;  // the plugin's own thread
};

// "tasks/1@17": names of records in scripts, rows and messages.
std::string serial_of(const engine::MessageInput& input);

}  // namespace millrace::simulation
