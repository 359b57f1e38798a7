// What people ask of a running handler: replay, resume, restart (`millrace handlers …`,
// POST /v1/admin/handlers/{name}/…), and the answer that is owed to them.
//
// Thread rule: the loop thread; a CommandAnswer may be dropped on any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/result.hpp"
#include "core/runtime.hpp"
#include "core/types.hpp"

namespace millrace::engine {

// Some or all partitions of a handler.
struct PartitionChoice {
    std::optional<std::string> topic;
    std::optional<Partition> partition;

    bool includes(const TopicPartition& origin) const {
        return (!topic || *topic == origin.topic) && (!partition || *partition == origin.partition);
    }
};

struct ReplayRequest {
    enum class From { kEarliest = 1, kOffset, kTime } from = From::kEarliest;
    Offset offset;
    Timestamp time;
    PartitionChoice which;
};

// What becomes of a lost position.
enum class LostDecision {
    kRestart = 1,  // read again from the configured start
    kAccept,       // take the log as it is
};

struct ResumeRequest {
    std::optional<LostDecision> decision;  // none: look again whether the cause is gone
    PartitionChoice which;
};

// Told once: by `tell`, or, when what would have told is given up, that it is.
class CommandAnswer {
public:
    using Done = std::function<void(Result<std::string>)>;

    CommandAnswer(Strand& loop, Done done) : loop_(loop), done_(std::move(done)) {}
    ~CommandAnswer() {
        if (!done_) return;
        loop_.post([done = std::move(done_)] {
            done(fail(ErrorCode::kUnavailable,
                      "the handler was restarted or lost the partition meanwhile; ask again"));
        });
    }
    CommandAnswer(const CommandAnswer&) = delete;
    CommandAnswer& operator=(const CommandAnswer&) = delete;

    void tell(Result<std::string> answer) {
        if (auto done = std::exchange(done_, nullptr)) done(std::move(answer));
    }

private:
    Strand& loop_;
    Done done_;
};
using CommandAnswerPtr = std::shared_ptr<CommandAnswer>;

}  // namespace millrace::engine
