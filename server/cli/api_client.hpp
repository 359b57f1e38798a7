// ApiClient: the HTTP API of a running server, for commands.
//
// Thread rule: one thread; each call blocks until it is answered. Errors: what the server's problem
// document says, or why it cannot be reached and what to do about it.
#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/options.hpp"
#include "core/result.hpp"
#include "engine/outside.hpp"

namespace millrace::cli {

class ApiClient {
public:
    explicit ApiClient(const Remote& remote);
    ~ApiClient();

    // `path` with its query. The answer's JSON, also of a mixed batch (207).
    Result<boost::json::value> get(const std::string& path);
    Result<boost::json::value> post(const std::string& path, const std::string& content_type,
                                    std::string body);

private:
    Result<boost::json::value> call(engine::HttpCall request);
    Error refusal(const engine::HttpCall& request, const engine::HttpAnswer& answer) const;

    struct Loop;
    std::unique_ptr<Loop> loop_;
    std::string server_;
    std::string token_;
};

std::string percent_encoded(std::string_view text);

// Prints the error and returns kFailed.
int report(const Error& error);

}  // namespace millrace::cli
