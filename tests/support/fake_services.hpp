// FakeServices: a shard's services that note what was asked of them, with a real SQLite for exec.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/handler.hpp"
#include "support/temporary_directory.hpp"

namespace millrace::testing {

class FakeServices final : public engine::ShardServices {
public:
    FakeServices() : database_(sqlite::Database::open(directory_.path() + "/state.db").value()) {
        database_->execute("CREATE TABLE t(a INTEGER PRIMARY KEY)").value();
    }

    Timestamp now() const override { return Timestamp(std::chrono::seconds(1)); }
    void log(log::Level, std::string_view message) override {
        asked.push_back(fmt::format("log {}", message));
    }
    void count(std::string_view metric, double) override {
        asked.push_back(fmt::format("count {}", metric));
    }
    Result<std::int64_t> exec(std::string_view sql, std::span<const sqlite::Value> parameters,
                              const engine::RowCallback& row) override {
        auto statement = database_->prepare(sql, trust);
        if (!statement) return statement.error();
        for (std::size_t i = 0; i < parameters.size(); ++i)
            statement->bind_value(static_cast<int>(i) + 1, parameters[i]);
        for (;;) {
            auto there = statement->step();
            if (!there) return there.error();
            if (!*there || (row && !row(*statement))) return database_->changes();
        }
    }
    Result<std::string> publish(const engine::PublishRequest& request) override {
        asked.push_back(fmt::format("publish {} {} {}", request.topic, request.key, request.event));
        if (request.topic == "refused") return fail(ErrorCode::kInvalid, "its schema refuses it");
        return std::string("id");
    }
    Result<void> call(const engine::CallRequest& request) override {
        asked.push_back(fmt::format("call {} {} {}", request.id, request.method, request.url));
        return {};
    }
    Result<void> set_timer(std::string_view id, std::string_view key, Timestamp due,
                           std::string_view payload) override {
        asked.push_back(
            fmt::format("set_timer {} {} {} {}", id, key, due.time_since_epoch().count(), payload));
        timers_.emplace(id);
        return {};
    }
    Result<bool> cancel_timer(std::string_view id) override {
        asked.push_back(fmt::format("cancel_timer {}", id));
        return timers_.erase(std::string(id)) > 0;
    }
    Result<void> push(const engine::PushRequest& request) override {
        asked.push_back(fmt::format("push {} {} {}", request.user, to_string(request.origin),
                                    request.event_type));
        return fail(ErrorCode::kDenied, "push: only a broadcast handler");
    }
    void complete(engine::CompletionToken token, std::string payload) override {
        asked.push_back(fmt::format("complete {}/{} {}", token.input, token.attempt, payload));
    }
    Result<void> origins(const std::function<void(const engine::OriginCounts&)>& each) override {
        each(counts);
        return {};
    }

    std::vector<std::string> asked;
    sqlite::Trust trust = sqlite::Trust::kPlugin;
    engine::OriginCounts counts;

private:
    TemporaryDirectory directory_;
    std::unique_ptr<sqlite::Database> database_;
    std::set<std::string> timers_;
};

}  // namespace millrace::testing
