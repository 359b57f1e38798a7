// `millrace dlq`: dead letters listed, shown, given back to the handler that failed, put aside.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "cli/api_client.hpp"
#include "cli/table.hpp"
#include "core/text.hpp"

namespace millrace::cli {
namespace {

constexpr std::uint64_t kPage = 200;
constexpr std::size_t kMessageWidth = 80;
constexpr std::uint32_t kLongestPost = 2;  // seconds that one request may take at the given rate

const boost::json::value& at(const boost::json::object& object, std::string_view name) {
    static const boost::json::value kNothing;
    const auto* value = object.if_contains(name);
    return value == nullptr ? kNothing : *value;
}

std::string text_of(const boost::json::object& object, std::string_view name) {
    const auto& value = at(object, name);
    if (value.is_null()) return "-";
    return value.is_string() ? escape_line(value.get_string()) : boost::json::serialize(value);
}

std::string position_of(const boost::json::object& letter) {
    const auto& position = at(letter, "position").as_object();
    return text_of(position, "partition") + ":" + text_of(position, "offset");
}

std::string origin_of(const boost::json::object& letter) {
    for (const char* kind : {"timer", "call", "target"}) {
        if (!at(letter, kind).is_null())
            return fmt::format("{} {} {}", text_of(letter, "topic"), kind, text_of(letter, kind));
    }
    return fmt::format("{}/{} {}", text_of(letter, "topic"), text_of(letter, "partition"),
                       text_of(letter, "offset"));
}

std::string path_of(const DlqOptions& options, const std::string& action, std::uint64_t limit,
                    const std::string& cursor) {
    std::string path = "/v1/admin/dead-letters/" + percent_encoded(options.topic) + action +
                       fmt::format("?limit={}", limit);
    for (const auto& [name, value] : options.filters) {
        if (!value.empty()) path += "&" + name + "=" + percent_encoded(value);
    }
    if (options.all) path += "&all=true";
    if (!cursor.empty()) path += "&cursor=" + percent_encoded(cursor);
    return path;
}

std::string next_of(const boost::json::object& answer) {
    const auto& next = at(answer, "next");
    return next.is_string() ? std::string(next.get_string()) : std::string();
}

// Every page, or up to --limit letters.
Result<boost::json::array> gather(const DlqOptions& options, bool values) {
    ApiClient client(options.remote);
    boost::json::array letters;
    std::string cursor;
    do {
        const std::uint64_t left =
            options.limit == 0 ? kPage : std::min(kPage, options.limit - letters.size());
        auto page = client.get(path_of(options, "", left, cursor) + (values ? "&values=true" : ""));
        if (!page) return page.error();
        for (auto& item : page->as_object().at("items").as_array())
            letters.push_back(std::move(item));
        cursor = next_of(page->as_object());
    } while (!cursor.empty() && (options.limit == 0 || letters.size() < options.limit));
    return letters;
}

int print_json(const boost::json::object& object) {
    std::printf("%s\n", boost::json::serialize(object).c_str());
    return kDone;
}

void print_list(const boost::json::array& letters, const DlqOptions& options) {
    std::vector<Row> rows;
    for (const auto& item : letters) {
        const auto& letter = item.as_object();
        std::string message = text_of(letter, "message").substr(0, kMessageWidth);
        if (options.all) message = "(" + text_of(letter, "state") + ") " + message;
        rows.push_back({text_of(letter, "id"), text_of(letter, "class"), text_of(letter, "handler"),
                        origin_of(letter), text_of(letter, "user_id"),
                        text_of(letter, "last_failure"), text_of(letter, "redrives"), message});
    }
    if (rows.empty()) {
        std::printf("%s: no %sdead letters\n", options.topic.c_str(), options.all ? "" : "open ");
        return;
    }
    print_table({"ID", "CLASS", "HANDLER", "RECORD", "USER", "FAILED", "REDRIVES", "MESSAGE"},
                rows);
}

void print_letter(const boost::json::object& letter) {
    std::printf("%s  %s  at %s\n", text_of(letter, "id").c_str(), text_of(letter, "state").c_str(),
                position_of(letter).c_str());
    const auto line = [](const char* name, const std::string& value) {
        std::printf("  %-14s %s\n", name, value.c_str());
    };
    line("record", origin_of(letter));
    for (const char* name : {"class", "message", "handler", "group", "attempts", "first_failure",
                             "last_failure", "timestamp", "event_id", "user_id", "redrives", "key"})
        line(name, text_of(letter, name));
    for (const auto& item : at(letter, "headers").as_array()) {
        const auto& header = item.as_object();
        line("header", text_of(header, "name") + ": " + text_of(header, "value"));
    }
    line("value", text_of(letter, "value"));
    std::printf("\n");
}

// What redrive and discard have done so far.
class Tally {
public:
    explicit Tally(const DlqOptions& options, const char* did)
        : options_(options), did_(did), is_terminal_(isatty(STDERR_FILENO) != 0) {}

    void add(const boost::json::object& answer) {
        matched_ += at(answer, "matched").to_number<std::uint64_t>();
        done_ += at(answer, "done").to_number<std::uint64_t>();
        for (const auto& item : at(answer, "letters").as_array()) letters_.push_back(item);
        for (const auto& item : at(answer, "failed").as_array()) {
            failed_.push_back(item);
            if (!options_.remote.json)
                std::fprintf(stderr, "%s%s: %s\n", is_terminal_ ? "\r\033[K" : "",
                             text_of(item.as_object(), "id").c_str(),
                             text_of(item.as_object(), "error").c_str());
        }
        if (is_terminal_ && !options_.remote.json)
            std::fprintf(stderr, "\r\033[K%llu %s", static_cast<unsigned long long>(done_), did_);
    }
    std::uint64_t matched() const { return matched_; }

    int finish(const std::string& stopped) const {
        if (is_terminal_ && !options_.remote.json) std::fprintf(stderr, "\r\033[K");
        const int code = failed_.empty() && stopped.empty() ? kDone : kFailed;
        if (options_.remote.json) {
            print_json({{"dry_run", options_.dry_run},
                        {"matched", matched_},
                        {"done", done_},
                        {"letters", letters_},
                        {"failed", failed_},
                        {"stopped", stopped.empty() ? boost::json::value(nullptr)
                                                    : boost::json::value(stopped)}});
            return code;
        }
        if (options_.dry_run) {
            print_list(letters_, options_);
            std::printf("%llu would be %s\n", static_cast<unsigned long long>(matched_), did_);
            return code;
        }
        std::printf("%llu %s, %zu failed\n", static_cast<unsigned long long>(done_), did_,
                    failed_.size());
        if (!stopped.empty())
            std::fprintf(stderr, "millrace: stopped, the rest is open still: %s\n",
                         stopped.c_str());
        return code;
    }

private:
    const DlqOptions& options_;
    const char* did_;
    bool is_terminal_;
    std::uint64_t matched_ = 0;
    std::uint64_t done_ = 0;
    boost::json::array letters_;
    boost::json::array failed_;
};

int act(const DlqOptions& options, const std::string& action, const char* did) {
    ApiClient client(options.remote);
    Tally tally(options, did);
    const std::uint64_t page =
        options.rate == 0 ? kPage
                          : std::clamp<std::uint64_t>(options.rate * kLongestPost, 1, kPage);
    std::string cursor;
    std::string stopped;
    do {
        const std::uint64_t left =
            options.limit == 0 ? page : std::min(page, options.limit - tally.matched());
        std::string path = path_of(options, "/" + action, left, cursor);
        if (options.dry_run) path += "&dry_run=true";
        if (options.rate > 0) path += fmt::format("&rate={}", options.rate);
        auto answer = client.post(path, "application/json", "");
        if (!answer) {
            stopped = answer.error().message;
            break;
        }
        tally.add(answer->as_object());
        const auto& reason = at(answer->as_object(), "stopped");
        if (reason.is_string()) stopped = std::string(reason.get_string());
        cursor = next_of(answer->as_object());
    } while (stopped.empty() && !cursor.empty() &&
             (options.limit == 0 || tally.matched() < options.limit));
    return tally.finish(stopped);
}

}  // namespace

int list_letters(const DlqOptions& options) {
    auto letters = gather(options, false);
    if (!letters) return report(letters.error());
    if (options.remote.json) return print_json({{"items", std::move(*letters)}});
    print_list(*letters, options);
    return kDone;
}

int show_letters(const DlqOptions& options) {
    auto letters = gather(options, true);
    if (!letters) return report(letters.error());
    if (options.remote.json) return print_json({{"items", std::move(*letters)}});
    for (const auto& letter : *letters) print_letter(letter.as_object());
    if (!letters->empty()) return kDone;
    return report(fail(ErrorCode::kNotFound, options.topic + ": no such dead letter; "
                                                             "`--all` looks among the closed too"));
}

int redrive_letters(const DlqOptions& options) { return act(options, "redrive", "redriven"); }

int discard_letters(const DlqOptions& options) { return act(options, "discard", "discarded"); }

}  // namespace millrace::cli
