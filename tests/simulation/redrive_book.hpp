// RedriveBook: which dead letters were given back, to which process, and what it answered.
//
// One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "simulation/attempt_watch.hpp"

namespace millrace::simulation {

struct Redrive {
    std::string process;
    std::string handler;
    CopyKey copy;
    std::string serial;
    int number = 1;         // as a new dead letter of it will say
    bool accepted = false;  // it is durable there
};

class RedriveBook {
public:
    std::size_t asked(Redrive redrive) {
        redrives_.push_back(std::move(redrive));
        return redrives_.size() - 1;
    }
    void accepted(std::size_t which) { redrives_[which].accepted = true; }
    // What it died of is mended.
    void cured(const std::string& serial) { cured_.insert(serial); }

    bool is_cured(const std::string& serial) const { return cured_.contains(serial); }
    bool was_asked(const std::string& handler, const std::string& serial) const {
        return std::ranges::any_of(redrives_, [&](const Redrive& each) {
            return each.handler == handler && each.serial == serial;
        });
    }
    // How many dead letters may say that number.
    std::size_t times(const std::string& handler, const CopyKey& copy, int number) const {
        return static_cast<std::size_t>(std::ranges::count_if(redrives_, [&](const Redrive& each) {
            return each.handler == handler && each.copy == copy && each.number == number;
        }));
    }
    const std::vector<Redrive>& all() const { return redrives_; }

private:
    std::vector<Redrive> redrives_;
    std::set<std::string> cured_;
};

}  // namespace millrace::simulation
