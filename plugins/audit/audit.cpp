// audit: keeps every event, as it came, in a table that only grows.
//
//     handlers:
//       audit: {plugin: audit, topics: [task-events, reminders]}
//
//     millrace query audit events user=7
//     millrace query audit summary
//
// A row per event and shard; a shard holds one partition. `time` orders and is filtered by: the
// event's own, or when the log took it if it has none. Each index has its cost at every insert, so
// there are three: by time, by user, by task.
#include <millrace/plugin.hpp>
#include <optional>
#include <string>

#include "blocks.hpp"
#include "events_question.hpp"
#include "position.hpp"
#include "summary_question.hpp"

namespace audit {
namespace {

class Audit final : public millrace::Handler {
public:
    static millrace::Description describe() {
        return {
            .name = "audit",
            .version = "1.0.0",
            .description = "Keeps every event in an append-only log that can be searched.",
            .state = millrace::State::kPerPartition,
            .state_version = 1,
            .questions = {{"events",
                           {"user", "task", "type", "from", "to", "text", "limit", "cursor"},
                           "The events that match, newest first, a page at a time."},
                          {"summary",
                           {},
                           "How many events of each partition are kept, and what is missing."}}};
    }

    static void migrate(millrace::Context& context, std::uint32_t /*from_version*/) {
        context.exec(
            "CREATE TABLE events(sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
            " topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,"
            " event_id TEXT NOT NULL, event_type TEXT, schema_version INTEGER NOT NULL,"
            " user_id TEXT, task_id TEXT, timestamp INTEGER, received_at INTEGER NOT NULL,"
            " key BLOB, body TEXT) STRICT");
        create_blocks(context);
        context.exec(
            "CREATE TRIGGER events_stay BEFORE DELETE ON events"
            " BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END");
        context.exec(
            "CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON events"
            " BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END");
    }

    explicit Audit(const millrace::Setup& setup)
        : Handler(setup), partition_(Partition::of_shard(setup.shard)) {}

    millrace::Outcome on_message(const millrace::Event& event) override {
        const auto type = event.type().empty() ? std::nullopt : std::optional(event.type());
        const auto key = event.key() ? std::optional(millrace::blob(*event.key())) : std::nullopt;
        const std::int64_t sequence = next_sequence();
        context().exec(
            "INSERT INTO events"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            sequence, event.time().value_or(event.record_time()), event.topic(), event.partition(),
            event.offset(), event.id(), type, event.schema_version(), event.user(), event.task(),
            event.time(), event.record_time(), key, event.value());
        last_sequence_ = sequence;
        if (sequence % kBlockRows == 0) close_block(context(), sequence);
        return millrace::ack();
    }

    void on_rollback(millrace::Rollback /*scope*/) { last_sequence_.reset(); }

    std::optional<std::string> on_query(std::string_view question,
                                        const millrace::Parameters& parameters) override {
        if (question == "events") return ask_events(context(), partition_, parameters);
        if (question == "summary") return ask_summary(context());
        return std::nullopt;
    }

    static std::string merge(std::string_view question, const millrace::Parameters& parameters,
                             std::span<const std::string_view> answers) {
        return question == "events" ? merge_events(parameters, answers) : merge_summary(answers);
    }

private:
    std::int64_t next_sequence() {
        if (!last_sequence_) {
            last_sequence_ = context().integer("SELECT max(sequence) FROM events").value_or(0);
        }
        return *last_sequence_ + 1;
    }

    Partition partition_;
    std::optional<std::int64_t> last_sequence_;  // unknown at first, and after a rollback
};

}  // namespace
}  // namespace audit

MILLRACE_PLUGIN(audit::Audit)
