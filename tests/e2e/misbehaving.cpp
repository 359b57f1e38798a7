// misbehaving: keeps one row per event, and does what an event's title asks for: segfault, abort,
// overflow, or hang, as long as the file `hang_while` exists when it is asked.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <millrace/plugin.hpp>
#include <string>

namespace {

// Deeper than any stack; the sum keeps the frames.
unsigned overflow(unsigned depth) {
    volatile unsigned frame[1024] = {};
    frame[0] = depth;
    return depth == 0 ? frame[0] : overflow(depth + 1) + frame[0];
}

void misbehave(std::string_view how) {
    if (how == "segfault") {
        volatile int* volatile nowhere = nullptr;
        *nowhere = 1;
    }
    if (how == "abort") std::abort();
    if (how == "overflow") std::_Exit(static_cast<int>(overflow(1)));
}

class Misbehaving final : public millrace::Handler {
public:
    static millrace::Description describe() {
        return {.name = "misbehaving",
                .version = "1.0.0",
                .description = "Does what an event's title asks for.",
                .state_version = 1,
                .options = {millrace::Option::text("hang_while", "a file").or_else("")},
                .questions = {"tasks"}};
    }
    static void migrate(millrace::Context& context, std::uint32_t /*from_version*/) {
        context.exec("CREATE TABLE seen(n INTEGER PRIMARY KEY, task TEXT)");
    }
    explicit Misbehaving(const millrace::Setup& setup)
        : Handler(setup), hang_while_(setup.options.text("hang_while")) {}

    millrace::Outcome on_message(const millrace::Event& event) override {
        context().exec("INSERT INTO seen(task) VALUES(?1)", event.task());
        const std::string_view how = event.field("title").value_or("");
        misbehave(how);
        const bool hangs = how == "hang" && std::filesystem::exists(hang_while_);
        while (hangs) pause();
        return millrace::ack();
    }
    std::optional<std::string> on_query(std::string_view, const millrace::Parameters&) override {
        millrace::Json items = millrace::Json::array();
        context().query("SELECT task FROM seen ORDER BY n",
                        [&](const millrace::Row& row) { items.push_back(row.text(0)); });
        return millrace::Json::object({{"items", items}}).dump();
    }

private:
    std::string hang_while_;
};

}  // namespace

MILLRACE_PLUGIN(Misbehaving)
