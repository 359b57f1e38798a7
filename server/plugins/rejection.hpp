// Rejection: why a file in a plugin directory is not used. The server runs on without it.
//
// A plain value; any thread.
#pragma once

#include <boost/system/result.hpp>
#include <string>

namespace millrace::plugins {

struct Rejection {
    std::string file;     // as found
    std::string reason;   // short and stable: the label of millrace_plugin_rejects_total
    std::string message;  // one line for a person: what is wrong and what to do

    bool operator==(const Rejection&) const = default;
};

template <class T>
using Accepted = boost::system::result<T, Rejection>;

}  // namespace millrace::plugins
