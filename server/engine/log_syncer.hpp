// LogSyncer: makes shards' commits durable on a thread of its own, while their next batches run.
//
// Thread rule: `sync` from the shard's strand; `done` comes back on it. Ownership: the caller keeps
// the database alive until then.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/result.hpp"
#include "core/runtime.hpp"
#include "core/sqlite/database.hpp"

namespace millrace::engine {

class LogSyncer {
public:
    explicit LogSyncer(std::shared_ptr<Strand> thread) : thread_(std::move(thread)) {}

    void sync(sqlite::Database& database, std::shared_ptr<Strand> answer_on,
              std::function<void(Result<void>)> done) {
        thread_->post([&database, answer_on = std::move(answer_on), done = std::move(done)] {
            answer_on->post([result = database.sync_log(), done] { done(result); });
        });
    }

private:
    std::shared_ptr<Strand> thread_;
};

}  // namespace millrace::engine
