// ModelHandler: a HandlerFactory whose callbacks are lambdas of the test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine/handler.hpp"

namespace millrace::testing {

inline engine::Outcome retry(const char* reason) {
    return {engine::OutcomeKind::kRetry, reason, {}};
}
inline engine::Outcome dead_letter(const char* reason) {
    return {engine::OutcomeKind::kDeadLetter, reason, {}};
}
inline std::string_view task_of(const engine::MessageInput& input) {
    return input.event.envelope.task_id.value_or("");
}

class ModelHandler final : public engine::HandlerFactory {
public:
    engine::HandlerTraits described{
        .state_version = 1, .plugin = "model", .version = "1", .questions = {"rows"}};
    std::function<Result<void>(engine::ShardServices&)> on_migrate =
        [](engine::ShardServices& services) -> Result<void> {
        auto made = services.exec(
            "CREATE TABLE rows(n INTEGER PRIMARY KEY, user TEXT, task TEXT, offset INTEGER, shard "
            "TEXT)",
            {}, {});
        if (!made) return made.error();
        return {};
    };
    std::function<engine::Outcome(engine::ShardServices&, const engine::MessageInput&)> on_message =
        [](engine::ShardServices& services, const engine::MessageInput& input) {
            return insert(services, input);
        };
    std::function<engine::Outcome(engine::ShardServices&, const engine::TimerInput&)> on_timer =
        [](auto&, auto&) { return engine::Outcome{}; };
    std::function<engine::Outcome(engine::ShardServices&, const engine::ResponseInput&)>
        on_response = [](auto&, auto&) { return engine::Outcome{}; };
    std::function<engine::Outcome(engine::ShardServices&, const engine::MessageInput&,
                                  std::string_view)>
        on_complete = [](auto&, auto&, auto) { return engine::Outcome{}; };
    std::function<Result<void>()> on_create = [] { return Result<void>(); };
    int instances = 0;

    // One row per event.
    static engine::Outcome insert(engine::ShardServices& services,
                                  const engine::MessageInput& input) {
        const auto& envelope = input.event.envelope;
        const sqlite::Value row[] = {envelope.user_id.value_or(""), envelope.task_id.value_or(""),
                                     input.event.record->offset.value};
        auto done =
            services.exec("INSERT INTO rows(user, task, offset) VALUES(?1, ?2, ?3)", row, {});
        if (!done) return {engine::OutcomeKind::kRetry, done.error().message, {}};
        return {};
    }

    const engine::HandlerTraits& traits() const override { return described; }
    Result<void> migrate(engine::ShardServices& services, std::uint32_t) override {
        return on_migrate(services);
    }
    Result<std::unique_ptr<engine::HandlerInstance>> create(
        const engine::ShardIdentity&, engine::ShardServices& services) override {
        ++instances;
        if (auto allowed = on_create(); !allowed) return allowed.error();
        return std::unique_ptr<engine::HandlerInstance>(
            std::make_unique<Instance>(*this, services));
    }
    // The shards' answers, comma separated.
    Result<std::string> merge(std::string_view,
                              std::span<const std::pair<std::string, std::string>>,
                              std::span<const std::string> answers) override {
        std::string merged = R"({"rows":")";
        for (const auto& answer : answers) merged += answer;
        return merged + "\"}";
    }

private:
    class Instance final : public engine::HandlerInstance {
    public:
        Instance(ModelHandler& model, engine::ShardServices& services)
            : model_(model), services_(services) {}
        engine::Outcome on_message(const engine::MessageInput& input) override {
            return model_.on_message(services_, input);
        }
        engine::Outcome on_timer(const engine::TimerInput& input) override {
            return model_.on_timer(services_, input);
        }
        engine::Outcome on_response(const engine::ResponseInput& input) override {
            return model_.on_response(services_, input);
        }
        engine::Outcome on_complete(const engine::MessageInput& input,
                                    std::string_view payload) override {
            return model_.on_complete(services_, input, payload);
        }
        bool on_rollback(RollbackScope) override { return false; }
        // "user:task;" of each row.
        Result<std::string> on_query(
            std::string_view, std::span<const std::pair<std::string, std::string>>) override {
            std::string rows;
            auto read = services_.exec(
                "SELECT user, task FROM rows ORDER BY n", {}, [&](const sqlite::Statement& row) {
                    rows.append(row.text(0)).append(":").append(row.text(1)).append(";");
                    return true;
                });
            if (!read) return read.error();
            return rows;
        }

    private:
        ModelHandler& model_;
        engine::ShardServices& services_;
    };
};

}  // namespace millrace::testing
