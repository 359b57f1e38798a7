// `millrace publish`: NDJSON from a file or standard input to a topic, confirmed.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>

#include "cli/api_client.hpp"

namespace millrace::cli {
namespace {

constexpr std::size_t kLinesPerRequest = 1'000;
constexpr std::size_t kBytesPerRequest = 1U << 20;

struct Counts {
    std::uint64_t lines = 0;
    std::uint64_t accepted = 0;
    std::uint64_t rejected = 0;
};

class Publisher {
public:
    explicit Publisher(const PublishOptions& options) : options_(options), client_(options.remote) {
        path_ = "/v1/topics/" + percent_encoded(options.topic) + "/events";
        if (!options.key.empty()) path_ += "?key=" + percent_encoded(options.key);
    }

    // False: the server or the topic is not there; the rest would fare no better.
    bool add(const std::string& line) {
        ++counts_.lines;
        if (line.find_first_not_of(" \t\r") == std::string::npos) return true;
        lines_.push_back(counts_.lines);
        body_ += line + "\n";
        return lines_.size() < kLinesPerRequest && body_.size() < kBytesPerRequest ? true : send();
    }

    bool send() {
        if (lines_.empty()) return true;
        auto answer = client_.post(path_, "application/x-ndjson", std::exchange(body_, {}));
        const auto lines = std::exchange(lines_, {});
        if (!answer) {
            report(answer.error());
            counts_.rejected += lines.size();
            return false;
        }
        note(*answer, lines);
        if (isatty(STDERR_FILENO) != 0)
            std::fprintf(stderr, "\r%llu confirmed",
                         static_cast<unsigned long long>(counts_.accepted));
        return true;
    }

    int finish() {
        if (isatty(STDERR_FILENO) != 0 && counts_.lines > 0) std::fprintf(stderr, "\r\033[K");
        if (options_.remote.json)
            std::printf("{\"accepted\":%llu,\"rejected\":%llu}\n",
                        static_cast<unsigned long long>(counts_.accepted),
                        static_cast<unsigned long long>(counts_.rejected));
        else
            std::printf("%llu confirmed, %llu rejected\n",
                        static_cast<unsigned long long>(counts_.accepted),
                        static_cast<unsigned long long>(counts_.rejected));
        return counts_.rejected == 0 ? kDone : kFailed;
    }

private:
    void note(const boost::json::value& answer, const std::vector<std::uint64_t>& lines) {
        const auto* results = answer.as_object().if_contains("results");
        if (results == nullptr) {  // one line is answered like one event
            ++counts_.accepted;
            return;
        }
        for (std::size_t i = 0; i < results->as_array().size(); ++i) {
            const auto* error = results->as_array()[i].as_object().if_contains("error");
            if (error == nullptr) {
                ++counts_.accepted;
                continue;
            }
            ++counts_.rejected;
            const auto* detail =
                error->is_object() ? error->as_object().if_contains("detail") : nullptr;
            const std::string what = detail != nullptr && detail->is_string()
                                         ? std::string(detail->as_string())
                                         : "refused";
            std::fprintf(
                stderr, "%s:%llu: %s\n", options_.file == "-" ? "stdin" : options_.file.c_str(),
                static_cast<unsigned long long>(i < lines.size() ? lines[i] : 0), what.c_str());
        }
    }

    const PublishOptions& options_;
    ApiClient client_;
    std::string path_;
    std::string body_;
    std::vector<std::uint64_t> lines_;
    Counts counts_;
};

}  // namespace

int publish(const PublishOptions& options) {
    std::ifstream file;
    if (options.file != "-") {
        file.open(options.file);
        if (!file) {
            std::fprintf(stderr, "millrace: %s: cannot be read\n", options.file.c_str());
            return kWrongUsage;
        }
    }
    std::istream& input = options.file == "-" ? std::cin : file;
    Publisher publisher(options);
    std::string line;
    bool going = true;
    while (going && std::getline(input, line)) going = publisher.add(line);
    if (going) publisher.send();
    return publisher.finish();
}

}  // namespace millrace::cli
