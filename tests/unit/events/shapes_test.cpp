// The shapes captured from real producers (schemas/samples/shapes.ndjson): each must read exactly as its
// `means`.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>

#include "reading.hpp"

namespace millrace::testing {
namespace {

namespace json = boost::json;

struct Shape {
    json::value line;
    std::string name;
};

void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }

std::vector<Shape> load_shapes() {
    std::ifstream file(MILLRACE_SOURCE_DIR "/schemas/samples/shapes.ndjson");
    std::vector<Shape> shapes;
    for (std::string line; std::getline(file, line);) {
        Shape shape{json::parse(line), {}};
        shape.name =
            fmt::format("{} from {}", shapes.size() + 1, shape.line.at("from").as_string().c_str());
        shapes.push_back(std::move(shape));
    }
    return shapes;
}

json::value text_value(const std::optional<std::string_view>& text) {
    return text ? json::value(*text) : json::value(nullptr);
}

json::value found(const Reading& reading, std::string_view name) {
    const Envelope& envelope = reading.envelope();
    if (name == "event_type") return json::value(envelope.event_type);
    if (name == "user_id") return text_value(envelope.user_id);
    if (name == "task_id") return text_value(envelope.task_id);
    if (name == "event_id") return text_value(envelope.event_id);
    if (name == "schema_version") return envelope.schema_version;
    if (name == "timestamp") {
        if (!envelope.timestamp) return nullptr;
        return json::value(format_time(*envelope.timestamp));
    }
    const std::string text = reading.field(name);
    if (text == "null") return nullptr;
    return name == "changes" ? json::parse(text) : json::value(text);
}

class Shapes : public ::testing::TestWithParam<Shape> {};

TEST_P(Shapes, read_exactly_as_they_mean) {
    const json::object& line = GetParam().line.as_object();
    const Reading reading(std::string(line.at("topic").as_string()),
                          json::serialize(line.at("value")));
    ASSERT_EQ(reading.event().status, EventStatus::kReadable) << reading.event().fault;
    for (const auto& [name, meant] : line.at("means").as_object()) {
        EXPECT_EQ(found(reading, name), meant) << name;
    }
}

INSTANTIATE_TEST_SUITE_P(All, Shapes, ::testing::ValuesIn(load_shapes()),
                         [](const auto& shape) { return fmt::format("{}", shape.index + 1); });

TEST(shapes, are_sixteen) { EXPECT_EQ(load_shapes().size(), 16U); }

}  // namespace
}  // namespace millrace::testing
