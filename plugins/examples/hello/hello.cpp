// hello: counts the events of each user and greets them. Shows a table, an option, a question, and
// a handler's size.
//
//     handlers:
//       hello: {plugin: hello, topics: [task-events], config: {greeting: Good morning}}
//
//     millrace query hello greeted
#include <millrace/plugin.hpp>

namespace {

class Hello final : public millrace::Handler {
public:
    static millrace::Description describe() {
        return {.name = "hello",
                .version = "1.0.0",
                .description = "Greets the user of every event.",
                .state_version = 1,
                .options = {millrace::Option::text("greeting", "What it says.").or_else("Hello")},
                .questions = {{"greeted", {}, "Who was greeted, and how often."}}};
    }
    static void migrate(millrace::Context& context, std::uint32_t /*from_version*/) {
        context.exec(
            "CREATE TABLE greeted(user TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID");
    }
    explicit Hello(const millrace::Setup& setup)
        : Handler(setup), greeting_(setup.options.text("greeting")) {}

    millrace::Outcome on_message(const millrace::Event& event) override {
        if (!event.user()) return millrace::ignore("nobody to greet");
        context().exec(
            "INSERT INTO greeted VALUES(?1, 1) ON CONFLICT DO UPDATE SET times = times + 1",
            event.user());
        context().info(greeting_ + ", " + std::string(*event.user()));
        return millrace::ack();
    }
    std::optional<std::string> on_query(std::string_view, const millrace::Parameters&) override {
        millrace::Json items = millrace::Json::array();
        for (const auto& [user, times] : context().query<std::string, std::int64_t>(
                 "SELECT user, times FROM greeted ORDER BY user"))
            items.push_back(millrace::Json::object({{"user", user}, {"times", times}}));
        return millrace::Json::object({{"items", items}}).dump();
    }

private:
    std::string greeting_;
};

}  // namespace

MILLRACE_PLUGIN(Hello)
