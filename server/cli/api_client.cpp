#include "cli/api_client.hpp"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>

#include "cli/data_directory.hpp"
#include "core/asio_runtime.hpp"
#include "gateway/http_client.hpp"

namespace millrace::cli {
namespace {

constexpr milliseconds kTimeout{60'000};
// The most that server.limits.max_answer_bytes may be: the server's limit is met first.
constexpr std::size_t kMaxAnswer = 1U << 30;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::string first_of(std::initializer_list<std::string> candidates) {
    for (const auto& candidate : candidates) {
        if (!candidate.empty()) return candidate;
    }
    return {};
}

}  // namespace

struct ApiClient::Loop {
    Loop() : client(runtime), thread([this] { runtime.run(); }) {}
    ~Loop() {
        runtime.stop();
        thread.join();
    }
    AsioRuntime runtime;
    gateway::HttpClient client;
    std::thread thread;
};

ApiClient::ApiClient(const Remote& remote)
    : loop_(std::make_unique<Loop>()),
      server_(first_of({remote.server, environment("MILLRACE_SERVER"), "http://127.0.0.1:8081"})),
      token_(first_of({environment("MILLRACE_ADMIN_TOKEN"),
                       read_admin_token(first_of({remote.data_dir, "./data"}))})) {
    if (server_.back() == '/') server_.pop_back();
}

ApiClient::~ApiClient() = default;

Result<boost::json::value> ApiClient::get(const std::string& path) {
    engine::HttpCall request;
    request.method = "GET";
    request.url = server_ + path;
    return call(std::move(request));
}

Result<boost::json::value> ApiClient::post(const std::string& path, const std::string& content_type,
                                           std::string body) {
    engine::HttpCall request;
    request.method = "POST";
    request.url = server_ + path;
    request.headers.emplace_back("Content-Type", content_type);
    request.body = std::move(body);
    return call(std::move(request));
}

Result<boost::json::value> ApiClient::call(engine::HttpCall request) {
    request.timeout = kTimeout;
    request.max_response_bytes = kMaxAnswer;
    if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_);
    std::promise<engine::HttpAnswer> promise;
    loop_->runtime.loop().post([&] {
        loop_->client.call(
            request, [&](engine::HttpAnswer answer) { promise.set_value(std::move(answer)); });
    });
    const auto answer = promise.get_future().get();
    if (answer.status < 200 || answer.status > 299) {
        // A batch of which nothing was accepted still says what is wrong with each line.
        boost::system::error_code error;
        auto value = boost::json::parse(answer.body, error);
        if (!error && value.is_object() && value.as_object().contains("results")) return value;
        return refusal(request, answer);
    }
    boost::system::error_code error;
    auto value = boost::json::parse(answer.body, error);
    if (error)
        return fail(ErrorCode::kCorrupt, fmt::format("{}: the answer is not JSON", request.url));
    return value;
}

Error ApiClient::refusal(const engine::HttpCall& request, const engine::HttpAnswer& answer) const {
    if (answer.status == 0) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("no server answers at {} ({}); start one with `millrace serve`, or "
                                "say where it is with --server",
                                server_, answer.body));
    }
    if (answer.status == 401) {
        return fail(ErrorCode::kDenied,
                    fmt::format("{} does not accept the token; set MILLRACE_ADMIN_TOKEN, or name "
                                "the server's --data-dir",
                                server_));
    }
    boost::system::error_code error;
    const auto problem = boost::json::parse(answer.body, error);
    std::string what = answer.body;
    if (!error && problem.is_object()) {
        const auto& members = problem.get_object();
        const auto* title = members.if_contains("title");
        const auto* detail = members.if_contains("detail");
        if (detail != nullptr && detail->is_string())
            what = detail->get_string();
        else if (title != nullptr && title->is_string())
            what = title->get_string();
    }
    return fail(ErrorCode::kInvalid,
                fmt::format("{} {}: {} {}", request.method, request.url, answer.status, what));
}

std::string percent_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
            c == '~')
            encoded += c;
        else
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

int report(const Error& error) {
    std::fprintf(stderr, "millrace: %s\n", error.message.c_str());
    return kFailed;
}

}  // namespace millrace::cli
