// PluginFactory: a plugin as the engine's HandlerFactory, for one handler of the configuration.
//
// Thread rule: the engine's (handler.hpp); `merge` from any thread. Ownership: shared by the
// shards; the plugin's code lives as long as the process. Errors: what a plugin does wrong becomes
// an outcome or a Result, with the plugin's own words where it gave any.
#pragma once

#include <memory>
#include <string>

#include "core/config/server_config.hpp"
#include "engine/handler.hpp"
#include "plugins/plugin.hpp"

namespace millrace::plugins {

class PluginFactory final : public engine::HandlerFactory {
public:
    // `config`: what make_config made.
    PluginFactory(std::shared_ptr<const Plugin> plugin, std::string handler, std::string config,
                  std::uint64_t max_answer_bytes = HttpLimits().max_answer_bytes);

    const engine::HandlerTraits& traits() const override { return plugin_->traits(); }
    Result<void> migrate(engine::ShardServices& services, std::uint32_t from_version) override;
    Result<std::unique_ptr<engine::HandlerInstance>> create(
        const engine::ShardIdentity& shard, engine::ShardServices& services) override;
    Result<std::string> merge(std::string_view question,
                              std::span<const std::pair<std::string, std::string>> parameters,
                              std::span<const std::string> answers) override;

private:
    std::shared_ptr<const Plugin> plugin_;
    std::string handler_;
    std::string config_;
    std::uint64_t max_answer_bytes_;
};

}  // namespace millrace::plugins
