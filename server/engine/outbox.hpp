// EventSender and CallSender: what a shard's outbox holds goes out after it is durable, in order,
// and is removed when confirmed.
//
// Events go to the transport (acks=all), one batch at a time, so that the events of one key keep
// their order. Calls go to the HTTP client, a few at a time; what may pass (no answer, 408, 425,
// 429, 5xx) is tried again until `call_retry_for`, then the handler gets the last answer.
//
// Thread rule: the shard's strand. Ownership: of one shard; an answer that comes after it is
// dropped. Errors: what is away is tried again with backoff, and said to be held.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/config/server_config.hpp"
#include "core/runtime.hpp"
#include "engine/dead_letter.hpp"
#include "engine/outside.hpp"
#include "engine/state_file.hpp"
#include "transport/transport.hpp"

namespace millrace::engine {

// Both senders work for a shard through this.
struct OutboxSurroundings {
    const HandlerSection& section;
    const std::map<std::string, std::string>& dead_letters;
    std::string group;
    Runtime& runtime;
    Transport& transport;
    HttpCaller& http;
    std::shared_ptr<Strand> strand;
    std::weak_ptr<void> shard;        // the owner: an answer that finds it gone is dropped
    std::function<void()> confirmed;  // something can be removed
    std::function<void(const std::string& what, const std::string& reason)> held;
    std::function<void(OutboxCall, HttpAnswer)> responded;
    std::function<void(const Error&)> failed;  // the file cannot be read: the shard's end
};

class EventSender {
public:
    EventSender(OutboxSurroundings surroundings, StateFile& state);

    // At start: what is left of an earlier run.
    Result<void> load();
    void added(const EffectOrigin& from);
    // Everything up to `sequence` is durable: send.
    void send_up_to(std::int64_t sequence);
    // Rows whose events are confirmed, to be removed with the next commit.
    struct Confirmed {
        std::int64_t sequence;
        EffectOrigin from;
    };
    std::vector<Confirmed> take_confirmed();
    bool has_confirmed() const { return !confirmed_.empty(); }
    std::optional<Offset> lowest_unsent(const TopicPartition& origin) const;
    std::vector<TopicPartition> unsent_origins() const;
    bool idle() const { return !sending_ && to_send_.empty() && last_loaded_ >= durable_; }
    void stop();

private:
    void send();
    void publish();
    void sent(const std::vector<Result<RecordPosition>>& results);
    OutgoingRecord record_of(const OutboxEvent& event) const;
    void refuse(const OutboxEvent& event, const Error& error);
    void confirm(const OutboxEvent& event);

    OutboxSurroundings surroundings_;
    StateFile* state_;
    std::int64_t durable_ = 0;
    std::int64_t last_loaded_ = 0;
    std::vector<OutboxEvent> to_send_;
    // Why its topic refused it for good, and the form of its dead letter.
    struct Refusal {
        std::string fault;
        LetterForm form = LetterForm::kWhole;
    };
    std::map<std::int64_t, Refusal> refused_;  // by sequence
    bool sending_ = false;
    std::uint32_t failures_ = 0;
    std::unique_ptr<Timer> retry_;
    std::vector<Confirmed> confirmed_;
    std::map<TopicPartition, std::multiset<Offset>> unsent_;
};

class CallSender {
public:
    CallSender(OutboxSurroundings surroundings, StateFile& state, std::size_t at_once);

    void send_up_to(std::int64_t sequence);
    // Calls whose number of tries changed, to be written with the next commit.
    std::map<std::int64_t, std::uint32_t> take_tries();
    bool has_tries() const { return !tries_.empty(); }
    bool idle() const { return on_the_way_.empty(); }
    void stop();

private:
    void send();
    void start(OutboxCall call);
    void answered(OutboxCall call, HttpAnswer answer);
    void retry_later(OutboxCall call, milliseconds delay);

    OutboxSurroundings surroundings_;
    StateFile* state_;
    std::size_t at_once_;
    std::int64_t durable_ = 0;
    std::int64_t last_loaded_ = 0;
    std::set<std::int64_t> on_the_way_;
    std::map<std::int64_t, std::unique_ptr<Timer>> waiting_;
    std::map<std::int64_t, std::uint32_t> tries_;
    bool stopped_ = false;
};

}  // namespace millrace::engine
