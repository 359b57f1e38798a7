#include "simulation/model.hpp"

#include "simulation/model_instance.hpp"

namespace millrace::simulation {

using engine::MessageInput;
using engine::ShardServices;

std::string serial_of(const MessageInput& input) {
    return std::string(input.event.envelope.task_id.value_or(""));
}

ModelFactory::ModelFactory(ModelSetup setup)
    : setup_(std::move(setup)),
      completer_(setup_.scheduler, setup_.process + ".completer", setup_.life) {
    traits_.state = setup_.state;
    traits_.state_version = 1;
    traits_.plugin = "model";
    traits_.version = "1";
}

Result<void> ModelFactory::migrate(ShardServices& services, std::uint32_t) {
    for (const char* sql :
         {"CREATE TABLE log(n INTEGER PRIMARY KEY, what TEXT, id TEXT, version TEXT, user TEXT, "
          "topic TEXT, partition INTEGER, offset INTEGER)",
          "CREATE TABLE fixed(id INTEGER PRIMARY KEY)", "INSERT INTO fixed VALUES(1)",
          "CREATE TABLE poison(id INTEGER PRIMARY KEY)",
          "CREATE TRIGGER poisoned BEFORE INSERT ON poison BEGIN SELECT RAISE(ROLLBACK, 'poison'); "
          "END"}) {
        auto done = services.exec(sql, {}, {});
        if (!done) return done.error();
    }
    return {};
}

Result<std::unique_ptr<engine::HandlerInstance>> ModelFactory::create(
    const engine::ShardIdentity& shard, ShardServices& services) {
    return std::unique_ptr<engine::HandlerInstance>(
        std::make_unique<ModelInstance>(setup_, shard.shard, services, completer_));
}

Result<std::string> ModelFactory::merge(std::string_view,
                                        std::span<const std::pair<std::string, std::string>>,
                                        std::span<const std::string>) {
    return std::string("{}");
}

}  // namespace millrace::simulation
