// Result<T>: a value, or one Error that says what went wrong, where and what to do about it.
//
// Used for everything that can happen in operation (a broker that is away, a full disk, bad input). Exceptions are for
// constructors at start-up only; broken invariants are asserts. A Result may cross threads like any value.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace millrace {

enum class ErrorCode {
    kInvalid = 1,  // the input is wrong and stays wrong; do not retry
    kNotFound,     // what was named does not exist
    kUnavailable,  // a part outside this process is away; retry later
    kTimeout,      // no answer in time; the effect is unknown
    kFull,         // a bound was reached (disk, queue, quota)
    kIo,           // the disk or the network failed
    kCorrupt,      // stored data does not read back
    kDenied,       // not allowed
    kConflict,     // the state is not what the operation needs (a file in use, a version mismatch)
    kCancelled,    // shutting down
    kInternal,     // a bug of ours or of a plugin
    kTooLarge,     // larger than its target takes; a smaller one may fit
};

struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;  // for a person: what, where, what to do
};

class ErrorException : public std::runtime_error {
public:
    explicit ErrorException(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
    const Error& error() const noexcept { return error_; }

private:
    Error error_;
};

// Found by boost::system::result::value() when it holds an error: start-up code may use it, operation code must not.
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw ErrorException(error);
}

template <class T>
using Result = boost::system::result<T, Error>;

// Names the error at the place where it is made: `return fail(ErrorCode::kIo, "cannot open /x: no space left")`.
inline Error fail(ErrorCode code, std::string message) { return Error{code, std::move(message)}; }

}  // namespace millrace
