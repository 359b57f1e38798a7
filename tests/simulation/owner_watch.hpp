// OwnerWatch: that a process handles records of partitions which are its own. What was asked back
// is let go of when the process says so; of what was lost it hears at once, and its shards soon.
//
// One thread. Records that were given back are their process's whoever has the partition.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "simulation/attempt_watch.hpp"

namespace millrace::simulation {

class OwnerWatch {
public:
    explicit OwnerWatch(std::function<void(const std::string&)> complain)
        : complain_(std::move(complain)) {}

    void given(const std::string& process, const std::string& group, const TopicPartition& origin) {
        until_[{process, group, origin}] = nanoseconds::max();
    }
    // Its records may be handled until then.
    void gone(const std::string& process, const std::string& group, const TopicPartition& origin,
              nanoseconds until) {
        until_[{process, group, origin}] = until;
    }
    void redriven(const CopyKey& copy) { redriven_.insert(copy); }
    void called(const CallNote& note, const std::string& group, nanoseconds now);

private:
    using Key = std::tuple<std::string, std::string, TopicPartition>;

    const std::function<void(const std::string&)> complain_;
    std::map<Key, nanoseconds> until_;
    std::set<CopyKey> redriven_;
};

}  // namespace millrace::simulation
