// A simulated process: one life of the engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "simulation/world.hpp"

namespace millrace::simulation {

struct World::Process {
    Process(World& world, std::string process_name)
        : name(std::move(process_name)),
          life(std::make_shared<Life>(Life{name, true, 0})),
          runtime(world.scheduler_, world.clock_, world.random_.fork(), life),
          transport(world.cluster_, world.scheduler_, runtime),
          http(runtime, world.random_.fork(), world.http_faults_, world.disk_,
               world.root_ + "/" + name + "/handlers") {}

    const std::string name;
    LifePtr life;
    SimRuntime runtime;
    SimTransport transport;
    SimHttp http;
    Metrics metrics;
    std::vector<std::shared_ptr<Gauge>> open_breakers;  // of each handler
    double breakers_seen = 0;
    std::unique_ptr<engine::Supervisor> supervisor;
    std::unique_ptr<engine::LetterDesk> letters;
};

class World::NoScreens final : public engine::PushSink {
public:
    void opened(const TopicPartition&, Offset) override {}
    void push(engine::PushMessage) override {}
    void advanced(const TopicPartition&, Offset) override {}
    void closed(const TopicPartition&) override {}
};

}  // namespace millrace::simulation
