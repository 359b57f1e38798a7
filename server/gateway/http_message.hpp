// Request and Response as the routes see them, without sockets and Beast; and problem documents
// (RFC 9457).
//
// Plain values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "gateway/encoding.hpp"

namespace millrace::gateway {

struct Request {
    std::string method;
    std::string target;                 // as it came
    std::string path;                   // as it came, without the query
    std::vector<std::string> segments;  // of the path, decoded
    Parameters query;
    Parameters headers;  // names in lower case, in order
    std::string body;
    bool admin = false;      // came in on the admin listener
    bool is_folded = false;  // a header went on in the next line

    std::string_view header(std::string_view name) const;  // the first; empty if there is none
    std::size_t count_headers(std::string_view name) const;
    std::optional<std::string_view> parameter(std::string_view name) const {
        return find_parameter(query, name);
    }
};

// Fills path, segments and query from the target; kInvalid for what is not an absolute path.
Result<void> read_target(Request& request, std::string_view target);

struct Response {
    int status = 200;
    std::string content_type = "application/json";
    Parameters headers;
    std::string body;
    bool close = false;  // the connection, after it
};

// What went wrong, where, and what to do about it.
struct Problem {
    int status = 500;
    std::string detail;
    std::string instance;  // the path, usually
    std::string help;
    std::string members;  // further members, as JSON without braces: `"accepted":1`
};

Response to_response(const Problem& problem);
// Without what is the response's alone: an item of a batch. `{"status","title","detail","help"}`.
std::string to_json(const Problem& problem);
Problem problem_of(const Error& error, const Request& request);

std::string_view title_of(int status);

}  // namespace millrace::gateway
