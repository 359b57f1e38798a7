// AlternateStack: where this thread's signal handlers run, so that a stack that has overflowed can
// still be reported.
//
// Belongs to the thread that makes it; destroy it there, when nothing else of the thread runs any
// more. A thread that has one already (the sanitisers give theirs) keeps it.
#pragma once

#include <cstddef>
#include <memory>

namespace millrace {

class AlternateStack {
public:
    AlternateStack();
    ~AlternateStack();
    AlternateStack(const AlternateStack&) = delete;
    AlternateStack& operator=(const AlternateStack&) = delete;

private:
    std::unique_ptr<std::byte[]> memory_;  // null: the thread had one
};

}  // namespace millrace
