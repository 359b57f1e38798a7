// Steps: how much work one call may put into looking for occurrences. A step is a day looked at, a
// position of BYSETPOS, or an occurrence made.
//
// A plain value, shared by all walks of one call by reference; not by threads. Never fails: who
// takes too many is told, and gives up.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::recurring {

// About a tenth of a second. Four hundred years of days are 146,000.
inline constexpr std::int64_t kMaxSteps = 1'000'000;

class Steps {
public:
    explicit Steps(std::int64_t limit = kMaxSteps) : limit_(limit), left_(limit) {}

    bool take(std::int64_t count = 1) {
        left_ = left_ >= count ? left_ - count : -1;
        return left_ >= 0;
    }
    bool spent() const { return left_ < 0; }
    std::string problem() const {
        return "finding the occurrence takes more than " + std::to_string(limit_) +
               " steps (config.max_steps)";
    }

private:
    std::int64_t limit_;
    std::int64_t left_;
};

}  // namespace millrace::recurring
