// `millrace tail`: the records of a topic as they come, over the records API.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "cli/api_client.hpp"

namespace millrace::cli {
namespace {

constexpr std::chrono::milliseconds kPollInterval{250};
constexpr int kPage = 500;

class Tail {
public:
    explicit Tail(const TailOptions& options) : options_(options), client_(options.remote) {}

    Result<void> find_partitions() {
        auto answer = client_.get("/v1/topics");
        if (!answer) return answer.error();
        std::string names;
        for (const auto& item : answer->as_object().at("topics").as_array()) {
            const auto& topic = item.as_object();
            const std::string name(topic.at("name").as_string());
            if (name == options_.topic) return begin(topic.at("partitions").as_array());
            names += (names.empty() ? "" : ", ") + name;
        }
        return fail(ErrorCode::kNotFound,
                    fmt::format("there is no topic '{}'; there are: {}", options_.topic, names));
    }

    // Whether anything came.
    Result<bool> poll() {
        bool any = false;
        for (auto& [partition, offset] : next_) {
            auto page =
                client_.get(fmt::format("/v1/topics/{}/records?partition={}&offset={}&limit={}",
                                        percent_encoded(options_.topic), partition, offset, kPage));
            if (!page) return page.error();
            for (const auto& record : page->as_object().at("records").as_array()) {
                offset = record.as_object().at("offset").to_number<std::int64_t>() + 1;
                any = true;
                show(partition, record.as_object());
                if (finished()) return true;
            }
        }
        return any;
    }
    bool finished() const { return options_.count > 0 && shown_ >= options_.count; }

private:
    Result<void> begin(const boost::json::array& partitions) {
        for (const auto& item : partitions) {
            const auto& row = item.as_object();
            const auto& from = row.at(options_.from_earliest ? "low" : "high");
            next_[row.at("partition").to_number<int>()] =
                from.is_number() ? from.to_number<std::int64_t>() : 0;
        }
        return {};
    }

    static std::string text_of(const boost::json::object& record, const char* name) {
        const auto* value = record.if_contains(name);
        if (value == nullptr || value->is_null()) return "-";
        return value->is_string() ? std::string(value->as_string())
                                  : boost::json::serialize(*value);
    }

    static bool is_of_user(const boost::json::object& record, const std::string& user) {
        const auto* found = record.if_contains("user_id");
        return found != nullptr && found->is_string() && found->as_string() == user;
    }

    void show(int partition, const boost::json::object& record) {
        if (!options_.user.empty() && !is_of_user(record, options_.user)) return;
        ++shown_;
        if (options_.remote.json) {
            std::printf("%s\n", boost::json::serialize(record).c_str());
        } else {
            const bool colour = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
            std::printf("%s%s  %d:%s  key %s%s  %s\n", colour ? "\033[2m" : "",
                        text_of(record, "timestamp").c_str(), partition,
                        text_of(record, "offset").c_str(), text_of(record, "key").c_str(),
                        colour ? "\033[0m" : "", text_of(record, "value").c_str());
        }
        std::fflush(stdout);
    }

    const TailOptions& options_;
    ApiClient client_;
    std::map<int, std::int64_t> next_;
    std::int64_t shown_ = 0;
};

}  // namespace

int tail(const TailOptions& options) {
    Tail tail(options);
    auto found = tail.find_partitions();
    if (!found) return report(found.error());
    while (!tail.finished()) {
        auto any = tail.poll();
        if (!any) return report(any.error());
        if (!*any) std::this_thread::sleep_for(kPollInterval);
    }
    return kDone;
}

}  // namespace millrace::cli
