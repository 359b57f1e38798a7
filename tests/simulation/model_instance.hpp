// ModelInstance: one shard's instance of the model handler.
//
// Thread rule: as of any HandlerInstance. Ownership: of the engine's shard; setup and completer
// outlive it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "simulation/model.hpp"

namespace millrace::simulation {

class ModelInstance final : public engine::HandlerInstance {
public:
    ModelInstance(const ModelSetup& setup, std::string shard, engine::ShardServices& services,
                  SimStrand& completer)
        : setup_(setup), shard_(std::move(shard)), services_(services), completer_(completer) {}

    engine::Outcome on_message(const engine::MessageInput& input) override;
    engine::Outcome on_complete(const engine::MessageInput& input,
                                std::string_view payload) override;
    engine::Outcome on_timer(const engine::TimerInput& input) override;
    engine::Outcome on_response(const engine::ResponseInput& input) override;
    bool on_rollback(RollbackScope) override { return setup_.keeps_instance; }
    Result<std::string> on_query(std::string_view,
                                 std::span<const std::pair<std::string, std::string>>) override {
        return std::string("{}");
    }

private:
    using MessageInput = engine::MessageInput;
    using Outcome = engine::Outcome;
    class CallScope;
    // One row of the table `log`.
    struct Row {
        std::string_view what;
        std::string_view id;
        std::string_view version;
        std::string_view user;
        const TopicPartition* origin = nullptr;
        Offset offset{-1};
    };

    static std::uint32_t count_of(int times) { return static_cast<std::uint32_t>(times); }
    bool stateful() const { return setup_.state != engine::StateKind::kNone; }
    void note(const MessageInput& input, const Outcome& outcome, bool completion);

    // What a script asks for (model_acts.cpp).
    Outcome act(const MessageInput& input, const Script& script);
    Outcome act_in_time(const MessageInput& input, const Script& script);
    Outcome act_with_state(const MessageInput& input, const Script& script);
    Outcome pend(const MessageInput& input, const Script& script);
    Outcome hang(const MessageInput& input, const Script& script);
    Outcome take_transaction(const MessageInput& input, std::string_view sql);
    void complete_later(const MessageInput& input, milliseconds delay);

    // What it does through its services (model_effects.cpp).
    Result<void> write(const Row& row);
    Outcome effect(const MessageInput& input);
    Outcome publish(const MessageInput& input, const Script& script, std::string_view topic);
    Outcome set_timer(const MessageInput& input, const Script& script);
    Outcome cancel_timer(const MessageInput& input);
    Outcome call(const MessageInput& input, const Script& script);
    Result<void> publish_one(std::string_view topic, std::string_view user, std::string_view serial,
                             int index);

    const ModelSetup& setup_;
    const std::string shard_;
    engine::ShardServices& services_;
    SimStrand& completer_;
    bool in_call_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Calls into one instance never overlap.
class ModelInstance::CallScope {
public:
    explicit CallScope(ModelInstance& instance) : instance_(instance) {
        if (std::exchange(instance.in_call_, true))
            instance.setup_.witness.on_fault("two calls into one instance at a time");
    }
    ~CallScope() { instance_.in_call_ = false; }
    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;

private:
    ModelInstance& instance_;
};

engine::Outcome retry(const std::string& why);
std::string_view user_of(const engine::MessageInput& input);

}  // namespace millrace::simulation
