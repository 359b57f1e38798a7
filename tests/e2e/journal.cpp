// journal: a row for each record, with the version of the plugin that wrote it. Built as three
// versions of one plugin: 2 has a column more, 3 cannot be made.
#include <millrace/plugin.hpp>
#include <stdexcept>

namespace {

constexpr const char* kVersions[] = {"1.0.0", "2.0.0", "3.0.0"};

// Not to be shared with another version that is loaded (STB_GNU_UNIQUE would be).
inline int entries_of_this_version = 0;

class Journal final : public millrace::Handler {
public:
    static millrace::Description describe() {
        return {.name = "journal",
                .version = kVersions[JOURNAL_VERSION - 1],
                .description = "Writes down what came, and which version of itself it was.",
                .state_version = JOURNAL_VERSION > 1 ? 2U : 1U,
                .questions = {"entries"},
                .topics = {"task-events"}};
    }

    static void migrate(millrace::Context& context, std::uint32_t from_version) {
        if (from_version < 1)
            context.exec(
                "CREATE TABLE entries(sequence INTEGER PRIMARY KEY, user TEXT NOT NULL, task TEXT "
                "NOT NULL, counted INTEGER NOT NULL) STRICT");
        if (JOURNAL_VERSION > 1)
            context.exec("ALTER TABLE entries ADD COLUMN version INTEGER NOT NULL DEFAULT 1");
    }

    explicit Journal(const millrace::Setup& setup) : Handler(setup) {
        if (JOURNAL_VERSION == 3) throw std::runtime_error("has no licence");
    }

    millrace::Outcome on_message(const millrace::Event& event) override {
        context().exec("INSERT INTO entries(user, task, counted) VALUES(?1, ?2, ?3)", event.user(),
                       event.task(), ++entries_of_this_version);
        if (JOURNAL_VERSION > 1)
            context().exec("UPDATE entries SET version = ?1 WHERE sequence = last_insert_rowid()",
                           JOURNAL_VERSION);
        return millrace::ack();
    }

    // As they were written.
    std::optional<std::string> on_query(std::string_view, const millrace::Parameters&) override {
        millrace::Json items = millrace::Json::array();
        const char* sql = JOURNAL_VERSION > 1
                              ? "SELECT user, task, version, counted FROM entries ORDER BY sequence"
                              : "SELECT user, task, 1, counted FROM entries ORDER BY sequence";
        context().query(sql, [&](const millrace::Row& row) {
            items.push_back(millrace::Json::object({{"user", row.text(0)},
                                                    {"task", row.text(1)},
                                                    {"version", row.integer(2)},
                                                    {"counted", row.integer(3)}}));
        });
        return millrace::Json::object({{"items", items}}).dump();
    }
};

}  // namespace

MILLRACE_PLUGIN(Journal)
