// Whatever comes, every event has a status, an id and, when refused, a reason; run under the
// sanitizers too.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "reading.hpp"

namespace millrace::testing {
namespace {

constexpr int kMutationsPerShape = 400;

class Mutator {
public:
    explicit Mutator(std::uint32_t seed) : random_(seed) {}

    std::string mutate(std::string text) {
        for (std::size_t count = 1 + below(4); count > 0; --count) change(text);
        return text;
    }

    std::size_t below(std::size_t limit) { return random_() % limit; }

private:
    void change(std::string& text) {
        static const std::string kTokens[] = {"null",
                                              "{}",
                                              "[]",
                                              "\"",
                                              "\\u0000",
                                              "\\ud800",
                                              "1e999",
                                              "-1",
                                              "18446744073709551616",
                                              "true",
                                              "1.5",
                                              "{",
                                              "}",
                                              "[",
                                              "\xff",
                                              "\"\"",
                                              ",",
                                              ":",
                                              "\"specversion\":\"1.0\",",
                                              "\"data\":",
                                              "\"2026-02-30\""};
        if (text.empty()) text = "{";
        const std::size_t at = below(text.size());
        switch (below(4)) {
            case 0:
                text[at] = static_cast<char>(below(256));
                break;
            case 1:
                text.erase(at, 1 + below(8));
                break;
            case 2:
                text.insert(at, kTokens[below(std::size(kTokens))]);
                break;
            default:
                text.insert(at, text.substr(below(text.size()), below(40)));
        }
    }

    std::mt19937 random_;
};

void expect_sound(const std::string& topic, const std::string& value) {
    const Reading reading(topic, value);
    const DecodedEvent& event = reading.event();
    EXPECT_FALSE(event.effective_id.empty()) << value;
    EXPECT_EQ(event.fault.empty(), event.status == EventStatus::kReadable) << value;
    EXPECT_EQ(event.root == nullptr, event.status == EventStatus::kUndecodable) << value;
    for (const char* name : {"title", "due", "remind_at", "recurrence", "changes", "completed"}) {
        const std::string text = reading.field(name);
        EXPECT_TRUE(event.root != nullptr || text == "null") << value;
    }
}

TEST(mutated_events, are_read_or_refused_with_a_reason) {
    std::ifstream file(MILLRACE_SOURCE_DIR "/schemas/samples/shapes.ndjson");
    Mutator mutator(20261123);
    const char* const topics[] = {"task-events", "reminders", "task-updates", "strict-tasks"};
    for (std::string line; std::getline(file, line);) {
        const std::size_t begin = line.find("\"value\": ") + 9;
        const std::string value = line.substr(begin, line.rfind(", \"means\"") - begin);
        ASSERT_NE(Reading("task-events", value).event().status, EventStatus::kUndecodable);
        for (int i = 0; i < kMutationsPerShape; ++i) {
            expect_sound(topics[mutator.below(4)], mutator.mutate(value));
        }
    }
}

}  // namespace
}  // namespace millrace::testing
