// The faulty disk: SQLite's file system with syncs that take longer, or with a death in the middle
// of a write to a write-ahead log.
//
// A testing aid of `millrace serve`, in place of the operating system's file system once it is
// installed; never removed. Environment: MILLRACE_SYNC_DELAY (such as 2ms) is added to every sync;
// MILLRACE_KILL_AT=in_commit:count dies at the count-th write, half of which is written. Any thread
// may use it; install it before threads start.
#pragma once

#include <chrono>

namespace millrace::sqlite {

void install_faulty_disk(std::chrono::microseconds sync_delay);

}  // namespace millrace::sqlite
