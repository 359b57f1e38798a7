#include "cli/reload.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cli/plugin_sheet.hpp"
#include "core/log.hpp"

namespace millrace::cli {

Reload::Reload(const ReloadSetup& setup)
    : setup_(setup),
      config_(setup.blueprint.config()),
      plugins_(setup.blueprint.plugins()),
      pool_(setup.runtime.make_pool("reload", 1)),
      files_(pool_->make_strand()) {
    for (const auto& handler : setup_.blueprint.handlers())
        running_[handler.section.name] = {handler.section, plugins_.find(handler.section.plugin)};
    note_rejections();
}

Reload::~Reload() = default;

void Reload::everything(Done done) {
    auto& round = round_ ? after_ : round_;
    if (!round) round.emplace();
    round->config = true;
    round->owed.push_back(std::move(done));
    if (!after_) begin();
}

void Reload::plugins() {
    if (round_) {
        if (!after_) after_.emplace();
        return;
    }
    round_.emplace();
    begin();
}

void Reload::begin() {
    if (stopping_) return;
    files_->post([this, config = round_->config, before = plugins_] {
        auto there = std::make_shared<Found>(look(config, before));
        setup_.runtime.loop().post([this, there] { found(*there); });
    });
}

Reload::Found Reload::look(bool config, const plugins::PluginSet& before) const {
    Found found;
    const ConfigSource& source = setup_.blueprint.source();
    try {
        if (config) found.config = load_server_config(source);
    } catch (const ErrorException& error) {
        found.fault = error.what();
        return found;
    }
    found.plugins =
        plugins::PluginSet::load(before.directories(), setup_.blueprint.plugin_copies(), before);
    return found;
}

void Reload::found(const Found& found) {
    if (stopping_) return;
    if (!found.fault.empty()) {
        log::error("server", "the configuration is not reloaded, all stays as it is: {}",
                   found.fault);
        for (const auto& owed : round_->owed) owed(fail(ErrorCode::kInvalid, found.fault));
        round_->owed.clear();
        return finish();
    }
    const bool same_rejections = plugins_.rejections() == found.plugins.rejections();
    plugins_ = found.plugins;
    if (!same_rejections) note_rejections();
    if (found.config) note_restart_keys(*found.config);
    if (found.config) config_.handlers = found.config->handlers;
    plan(handler_sections(config_, plugins_));
    step();
}

void Reload::note_rejections() {
    for (const auto& rejection : plugins_.rejections()) {
        log::error("plugins", "{}: {}", rejection.file, rejection.message);
        setup_.metrics
            .counter("millrace_plugin_rejects_total",
                     "Files in a plugin directory that were not taken",
                     {{"reason", rejection.reason}})
            ->add();
    }
}

// What is wired in at the start stays as it is.
void Reload::note_restart_keys(const ServerConfig& config) {
    std::vector<std::string> keys;
    std::map<std::string, std::string> now = config.texts;
    for (const auto& [key, text] : config_.texts) now.emplace(key, "");
    for (const auto& [key, text] : now) {
        const auto was = config_.texts.find(key);
        if (key == "handlers" || (was != config_.texts.end() && was->second == text)) continue;
        keys.push_back(key);
        round_->needs_restart.push_back(boost::json::value(key));
    }
    if (!keys.empty())
        log::warn("server", "the configuration's {} changed: restart the server to use that",
                  fmt::join(keys, ", "));
}

void Reload::plan(const std::vector<HandlerSection>& sections) {
    for (const auto& [name, running] : running_) {
        const bool stays = std::ranges::any_of(
            sections, [&](const auto& section) { return section.name == name; });
        if (!stays) round_->steps.push_back({Step::Kind::kRemove, name, {}, "stopped"});
    }
    for (const auto& section : sections)
        plan_handler(section.name, {section, plugins_.find(section.plugin)});
}

void Reload::plan_handler(const std::string& name, const Wanted& wanted) {
    const auto found = running_.find(name);
    const bool runs = found != running_.end() && found->second.plugin != nullptr;
    if (!wanted.plugin) {
        if (runs)
            round_->steps.push_back({Step::Kind::kRemove, name, wanted, "stopped"});
        else if (round_->config)
            failed({Step::Kind::kAdd, name, wanted, ""}, make(wanted).error().message);
        return;
    }
    if (!runs) return round_->steps.push_back({Step::Kind::kAdd, name, wanted, "started"});
    const Wanted& running = found->second;
    if (running.section.text != wanted.section.text) {
        // Made first, so that a section that is wrong does not stop what runs.
        if (auto made = make(wanted); !made)
            return failed({Step::Kind::kAdd, name, wanted, ""}, made.error().message);
        round_->steps.push_back({Step::Kind::kRemove, name, wanted, ""});
        round_->steps.push_back({Step::Kind::kAdd, name, wanted, "restarted"});
    } else if (running.plugin->digest() != wanted.plugin->digest()) {
        round_->steps.push_back({Step::Kind::kSwap, name, wanted, "swapped"});
    }
}

void Reload::step() {
    if (stopping_) return;
    if (round_->next == round_->steps.size()) return finish();
    const Step& step = round_->steps[round_->next++];
    switch (step.kind) {
        case Step::Kind::kAdd:
            return add(step);
        case Step::Kind::kRemove:
            return remove(step);
        case Step::Kind::kSwap:
            return swap(step);
    }
}

Result<engine::HandlerSetup> Reload::make(const Wanted& wanted) const {
    try {
        return setup_.blueprint.make_handler(wanted.section, plugins_);
    } catch (const ErrorException& error) {
        return error.error();
    }
}

void Reload::add(const Step& step) {
    auto made = make(step.wanted);
    if (!made) {
        running_.erase(step.handler);
        failed(step, made.error().message);
        return this->step();
    }
    setup_.supervisor.add(std::move(*made));
    running_[step.handler] = step.wanted;
    log::info("server", "handler {} is {}, with {} {}", step.handler, step.did,
              step.wanted.plugin->name(), step.wanted.plugin->version());
    did(step);
    this->step();
}

void Reload::remove(const Step& step) {
    log::info("server", "handler {} is drained and stopped: {}", step.handler,
              step.did[0] == '\0'                ? "its section changed"
              : step.wanted.section.name.empty() ? "it is no longer in the configuration"
                                                 : "its plugin has gone");
    setup_.supervisor.remove(step.handler, config_.server.drain_timeout, [this, step] {
        running_.erase(step.handler);
        if (step.did[0] != '\0') did(step);
        this->step();
    });
}

void Reload::swap(const Step& step) {
    auto made = make(step.wanted);
    if (!made) {
        failed(step, made.error().message);
        return this->step();
    }
    setup_.supervisor.swap(step.handler, made->factory,
                           [this, step](const Result<std::string>& swapped) {
                               if (stopping_) return;
                               if (swapped) {
                                   did(step, boost::json::parse(*swapped).as_object());
                               } else {
                                   failed(step, swapped.error().message);
                               }
                               // Tried once: the same file is not tried again with each change
                               // beside it.
                               running_[step.handler] = step.wanted;
                               this->step();
                           });
}

void Reload::did(const Step& step, boost::json::object more) {
    more["handler"] = step.handler;
    more["did"] = step.did;
    round_->handlers.push_back(std::move(more));
}

void Reload::failed(const Step& step, const std::string& reason) {
    log::error("server", "handler {}: {}", step.handler, reason);
    round_->handlers.push_back(
        boost::json::object{{"handler", step.handler}, {"did", "failed"}, {"reason", reason}});
}

void Reload::finish() {
    const std::string answer = boost::json::serialize(
        boost::json::object{{"handlers", std::move(round_->handlers)},
                            {"needs_restart", std::move(round_->needs_restart)},
                            {"rejected", json_rejections(plugins_)}});
    for (const auto& owed : round_->owed) owed(answer);
    round_ = std::exchange(after_, std::nullopt);
    if (round_) begin();
}

}  // namespace millrace::cli
