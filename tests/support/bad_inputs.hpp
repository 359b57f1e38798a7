// The values that nobody should send, and what becomes of each, by the log and by HTTP
// (docs/SCHEMAS.md has the same table).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace millrace::testing {

enum class Fate { kHandled = 1, kSkipped, kUndecodable, kSchemaFault };

struct BadInput {
    const char* name;
    std::optional<std::string> value;  // nullopt: a tombstone, which HTTP cannot send
    Fate fate;
    int http_status;  // of a request with it alone
    std::vector<std::pair<std::string, std::string>> headers = {};
};

inline std::string repeated(const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
}

inline std::vector<BadInput> bad_inputs() {
    constexpr int kDeep = 10'000;
    const auto bytes = [](std::string_view text) { return std::string(text); };
    return {
        {"empty", "", Fate::kUndecodable, 400},
        {"blank", " \r\n", Fate::kUndecodable, 400},
        {"tombstone", std::nullopt, Fate::kSkipped, 0},
        {"headers_only",
         std::nullopt,
         Fate::kSkipped,
         0,
         {{"ce_specversion", "1.0"}, {"ce_id", "x"}, {"event_id", "y"}}},
        {"not_utf8", "{\"user_id\":\"bad\",\"title\":\"\xff\xfe\"}", Fate::kUndecodable, 400},
        {"overlong_utf8", "{\"user_id\":\"bad\",\"title\":\"\xc0\xaf\"}", Fate::kUndecodable, 400},
        {"nul_bytes", bytes({"\0\0\0", 3}), Fate::kUndecodable, 400},
        {"nul_byte_in_text", bytes({"{\"user_id\":\"b\0d\"}", 17}), Fate::kUndecodable, 400},
        {"nul_escaped", R"({"user_id":"b\u0000d","task_id":"nul"})", Fate::kHandled, 200},
        {"nested_arrays", "{\"a\":" + repeated("[", kDeep) + repeated("]", kDeep) + "}",
         Fate::kUndecodable, 400},
        {"nested_objects", repeated("{\"data\":", kDeep) + "1" + repeated("}", kDeep),
         Fate::kUndecodable, 400},
        {"nested_without_end", repeated("[", kDeep), Fate::kUndecodable, 400},
        {"infinite", R"({"user_id":"bad","a":1e999})", Fate::kUndecodable, 400},
        {"not_a_number", R"({"user_id":"bad","a":NaN})", Fate::kUndecodable, 400},
        {"id_beyond_64_bits", R"({"user_id":18446744073709551616,"task_id":"1"})",
         Fate::kSchemaFault, 422},
        {"id_far_beyond", R"({"user_id":"bad","task_id":1e30})", Fate::kSchemaFault, 422},
        {"id_with_fraction", R"({"user_id":1.5})", Fate::kSchemaFault, 422},
        {"id_object", R"({"event_id":{"a":1},"user_id":"bad"})", Fate::kSchemaFault, 422},
        {"id_too_long", "{\"user_id\":\"" + std::string(1025, 'x') + "\"}", Fate::kSchemaFault,
         422},
        {"duplicate_keys", R"({"user_id":"other","user_id":"last","task_id":"twice"})",
         Fate::kHandled, 200},
        {"lone_surrogate", R"({"user_id":"bad","title":"\ud800"})", Fate::kUndecodable, 400},
        {"reversed_surrogates", R"({"user_id":"bad","title":"\udc00\ud800"})", Fate::kUndecodable,
         400},
        {"array", "[1]", Fate::kUndecodable, 400},
        {"null", "null", Fate::kUndecodable, 400},
        {"two_values", "{}{}", Fate::kUndecodable, 400},
        {"byte_order_mark", "\xef\xbb\xbf{\"user_id\":\"bom\",\"task_id\":\"mark\"}",
         Fate::kHandled, 200},
    };
}

}  // namespace millrace::testing
