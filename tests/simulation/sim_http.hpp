// SimHttp: the outside that handlers call. It answers, refuses, or says nothing until the call's
// time is over.
//
// Thread rule: the process's loop.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "engine/outside.hpp"
#include "simulation/sim_disk.hpp"
#include "simulation/sim_runtime.hpp"

namespace millrace::simulation {

struct HttpFaults {
    double fails = 0;
    double silent = 0;
};

class SimHttp final : public engine::HttpCaller {
public:
    // `folder`: the handlers' files of the process.
    SimHttp(SimRuntime& runtime, Rng random, const HttpFaults& faults, const Disk& disk,
            std::string folder)
        : runtime_(runtime),
          random_(random),
          faults_(faults),
          disk_(disk),
          folder_(std::move(folder)) {}

    void call(engine::HttpCall request, std::function<void(engine::HttpAnswer)> done) override {
        std::size_t& under_way = under_way_[{request.url, run_of(request.url)}];
        most_under_way_ = std::max(most_under_way_, ++under_way);
        milliseconds takes(random_.spread(1, 200));
        engine::HttpAnswer answer{200, "done", {}};
        if (random_.chance(faults_.silent)) {
            takes = request.timeout;
            answer = {0, "no answer", {}};
        } else if (random_.chance(faults_.fails)) {
            answer = {random_.chance(0.5) ? 503 : 429, "later", {}};
            if (random_.chance(0.3)) answer.retry_after = milliseconds(random_.between(1, 2'000));
        } else if (random_.chance(faults_.fails)) {
            answer = {400, "no", {}};
        }
        runtime_.sim_loop().later(takes, [done = std::move(done), answer, &under_way] {
            --under_way;
            done(answer);
        });
    }

    static std::string url_of(const std::string& handler, const std::string& shard) {
        return kSite + handler + "/" + shard;
    }
    // The most that one run of a shard ever had on their way at a time.
    std::size_t most_under_way() const { return most_under_way_; }

private:
    static constexpr const char* kSite = "http://simulated/";

    // A shard opens its file once; one that is opened again in the same life sends what its
    // predecessor sent and no longer counts.
    std::uint64_t run_of(const std::string& url) const {
        return disk_.openings(folder_ + "/" + url.substr(std::string_view(kSite).size()) + ".db");
    }

    SimRuntime& runtime_;
    Rng random_;
    const HttpFaults& faults_;
    const Disk& disk_;
    const std::string folder_;
    std::map<std::pair<std::string, std::uint64_t>, std::size_t> under_way_;  // by url and run
    std::size_t most_under_way_ = 0;
};

}  // namespace millrace::simulation
