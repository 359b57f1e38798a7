#include "engine/shard.hpp"

#include <fmt/format.h>

#include <utility>

#include "engine/schema_upgrade.hpp"

namespace millrace::engine {

Shard::Shard(ShardSetup setup)
    : setup_(std::move(setup)),
      stateful_(!setup_.path.empty()),
      broadcast_(setup_.factory->traits().broadcast),
      slot_(setup_.crashes != nullptr ? setup_.crashes->open_slot(setup_.identity)
                                      : std::make_shared<CallSlot>()) {}

Shard::~Shard() = default;

void Shard::open(std::function<void(Result<void>)> done) {
    setup_.strand->post([self = shared_from_this(), done = std::move(done)] {
        auto opened = self->open_now();
        if (opened) self->report_unsent();
        self->on_loop([opened, done](ShardOwner&) { done(opened); });
        if (!opened) return self->close_now();
        self->arm_timers();
        self->load_inbox();
        if (self->stateful_) self->after_release();
    });
}

Result<void> Shard::open_now() {
    services_ = std::make_unique<Services>(
        ServicesSetup{setup_.identity.handler, setup_.identity.shard, broadcast_,
                      setup_.runtime.clock(), setup_.registry, setup_.push, setup_.check_event,
                      [weak = weak_from_this(), strand = setup_.strand](CompletionToken token,
                                                                        std::string payload) {
                          strand->post([weak, token, payload = std::move(payload)] {
                              if (const auto self = weak.lock()) self->completed(token, payload);
                          });
                      },
                      origins_});
    if (stateful_) {
        auto file = StateFile::open(setup_.path, setup_.vfs);
        if (!file) return file.error();
        state_ = std::move(*file);
        services_->set_state(state_.get());
        make_interruptible(&state_->database());
        auto ready = migrate();
        if (ready) ready = load();
        if (!ready) return ready;
    }
    return renew_instance();
}

Result<void> Shard::migrate() {
    auto done = state_->begin();
    if (done) done = upgrade_tables(*setup_.factory);
    if (done) done = state_->commit();
    if (!done) state_->roll_back();
    return done;
}

// In a transaction of the caller's.
Result<void> Shard::upgrade_tables(HandlerFactory& factory) {
    const auto& traits = factory.traits();
    auto stored = state_->meta("plugin_version");
    if (!stored) return stored.error();
    const auto from = static_cast<std::uint32_t>(std::stoul(stored->value_or("0")));
    if (from > traits.state_version) {
        return fail(ErrorCode::kConflict,
                    fmt::format("{}: written by a newer version of the plugin {} (state {}, this "
                                "one has {}): use that one",
                                setup_.path, traits.plugin, from, traits.state_version));
    }
    if (from == traits.state_version) return {};
    CallContext context;
    context.trust = sqlite::Trust::kPluginSchema;
    services_->begin_call(std::move(context));
    auto done = [&] {
        const CallScope noted = note_call(CallKind::kMigrate);
        return factory.migrate(*services_, from);
    }();
    services_->end_call();
    services_->drop_statements();
    if (!done) return done;
    auto bare = state_->tables_without_primary_key();
    if (!bare) return bare.error();
    if (!bare->empty())
        return fail(ErrorCode::kInvalid, fmt::format("plugin {}: its table {} needs a PRIMARY KEY",
                                                     traits.plugin, bare->front()));
    auto counted = state_->counts_rowids();
    if (!counted) return counted.error();
    if (*counted)
        return fail(ErrorCode::kInvalid,
                    fmt::format("plugin {}: one of its tables has AUTOINCREMENT: a row with the "
                                "largest id would leave no room, as a full disk does; INTEGER "
                                "PRIMARY KEY alone will do",
                                traits.plugin));
    return state_->set_meta("plugin_version", std::to_string(traits.state_version));
}

Result<void> Shard::load() {
    auto origins = state_->load_origins();
    if (!origins) return origins.error();
    origins_ = std::move(*origins);
    OutboxSurroundings surroundings{
        setup_.section,
        setup_.dead_letters,
        setup_.group,
        setup_.runtime,
        setup_.transport,
        setup_.http,
        setup_.strand,
        weak_from_this(),
        [this] { schedule(); },
        [this](const std::string& what, const std::string& reason) {
            on_loop([index = setup_.index, what, reason](ShardOwner& owner) {
                owner.on_held(index, what, reason);
            });
        },
        [this](OutboxCall call, HttpAnswer answer) {
            responded(std::move(call), std::move(answer));
        },
        [this](const Error& error) { fail_shard(error); }};
    events_ = std::make_unique<EventSender>(surroundings, *state_);
    calls_ = std::make_unique<CallSender>(surroundings, *state_, setup_.section.max_calls);
    durable_sequence_ = state_->last_sequence();
    auto ready = count_outbox();
    if (ready) ready = attempts_.load(*state_);
    if (!ready) return ready;
    return events_->load();
}

// Before reading begins: what is still to be sent holds back the group's offset.
void Shard::report_unsent() {
    if (!events_) return;
    ShardRelease release;
    for (const auto& origin : events_->unsent_origins())
        release.reports.emplace_back(origin, report_of(origin));
    on_loop([index = setup_.index, release = std::move(release)](ShardOwner& owner) {
        owner.on_shard_released(index, release);
    });
}

Result<void> Shard::renew_instance() {
    stop_instance(instance_);
    auto made = make_instance(*setup_.factory);
    if (!made) return made.error();
    instance_ = std::move(*made);
    return {};
}

Result<std::unique_ptr<HandlerInstance>> Shard::make_instance(HandlerFactory& factory) {
    CallContext context;
    context.trust = sqlite::Trust::kPluginRead;
    services_->begin_call(std::move(context));
    auto made = [&] {
        const CallScope noted = note_call(CallKind::kCreate);
        return factory.create(setup_.identity, *services_);
    }();
    services_->end_call();
    return made;
}

void Shard::stop_instance(std::unique_ptr<HandlerInstance>& instance) {
    if (!instance) return;
    const CallScope noted = note_call(CallKind::kStop);
    instance.reset();
}

void Shard::fail_shard(const Error& error) {
    if (failed_ || closed_) return;
    failed_ = true;
    if (state_) state_->roll_back();
    refuse_incoming(error);
    refuse_swap(error);
    const bool advice = is_storage_fault(error) && error.code != ErrorCode::kConflict;
    const Error told = advice ? with_remedy(error, setup_.path) : error;
    on_loop(
        [index = setup_.index, told](ShardOwner& owner) { owner.on_shard_failed(index, told); });
}

void Shard::close(std::function<void()> done) {
    setup_.strand->post([self = shared_from_this(), done = std::move(done)] {
        self->failed_ = true;  // no batch begins any more
        if (self->syncing_) {
            self->after_sync_.emplace_back([shard = self.get(), done] {
                shard->close_now();
                shard->on_loop([done](ShardOwner&) { done(); });
            });
            return;
        }
        self->close_now();
        self->on_loop([done](ShardOwner&) { done(); });
    });
}

void Shard::close_now() {
    if (closed_) return;
    closed_ = true;
    pause_timer_.reset();
    next_timer_.reset();
    refuse_incoming(fail(ErrorCode::kUnavailable, "the shard is closed"));
    refuse_swap(fail(ErrorCode::kUnavailable, "the shard is closed"));
    setup_.in_flight -= std::exchange(pending_, 0);
    lanes_.for_each([](Input& input) { input.wait.reset(); });
    if (events_) events_->stop();
    if (calls_) calls_->stop();
    stop_instance(instance_);
    if (services_) {
        services_->drop_statements();
        services_->set_state(nullptr);
    }
    make_interruptible(nullptr);
    if (state_) state_->roll_back();
    state_.reset();
}

void Shard::make_interruptible(sqlite::Database* database) {
    const std::lock_guard lock(interrupt_mutex_);
    interruptible_ = database;
}

void Shard::query(std::string question, std::vector<std::pair<std::string, std::string>> parameters,
                  std::function<void(Result<std::string>)> done) {
    setup_.strand->post([self = shared_from_this(), question = std::move(question),
                         parameters = std::move(parameters), done = std::move(done)] {
        Result<std::string> answer = fail(ErrorCode::kUnavailable, "the shard is closed");
        if (self->instance_) {
            CallContext context;
            context.trust = sqlite::Trust::kPluginRead;
            context.deadline =
                self->setup_.runtime.clock().monotonic() + self->setup_.section.timeout;
            self->services_->begin_call(std::move(context));
            {
                const CallScope noted = self->note_call(CallKind::kQuery, question);
                answer = self->instance_->on_query(question, parameters);
            }
            self->services_->end_call();
        }
        self->on_loop([answer, done](ShardOwner&) { done(answer); });
    });
}

}  // namespace millrace::engine
