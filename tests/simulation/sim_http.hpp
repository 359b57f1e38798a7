// SimHttp: the outside that handlers call. It answers, refuses, or says nothing until the call's
// time is over.
//
// Thread rule: the process's loop.
#pragma once

#include <functional>
#include <utility>

#include "engine/outside.hpp"
#include "simulation/sim_runtime.hpp"

namespace millrace::simulation {

struct HttpFaults {
    double fails = 0;
    double silent = 0;
};

class SimHttp final : public engine::HttpCaller {
public:
    SimHttp(SimRuntime& runtime, Rng random, const HttpFaults& faults)
        : runtime_(runtime), random_(random), faults_(faults) {}

    void call(engine::HttpCall request, std::function<void(engine::HttpAnswer)> done) override {
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
        runtime_.sim_loop().later(takes, [done = std::move(done), answer] { done(answer); });
    }

private:
    SimRuntime& runtime_;
    Rng random_;
    const HttpFaults& faults_;
};

}  // namespace millrace::simulation
