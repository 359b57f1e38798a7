// Table<T>: the C callbacks of a handler class, and the border that no exception crosses.
//
// Made once, when the plugin is loaded; lives as long as the process. Errors: an exception becomes
// an outcome or a status, with its text given to `fail`.
#pragma once

#include <exception>
#include <memory>
#include <millrace/plugin.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {
inline namespace sdk {
namespace detail {

template <class T>
class Table {
public:
    static const millrace_plugin_api* make(const millrace_host_api* host) noexcept {
        if (!host || host->abi_major != MILLRACE_ABI_MAJOR ||
            host->struct_size < sizeof(millrace_host_api))
            return nullptr;
        try {
            static const Table table(host);
            return &table.api_;
        } catch (...) {
            return nullptr;
        }
    }

private:
    // What the server holds as millrace_instance.
    struct Instance {
        Instance(millrace_host* with_host, const millrace_setup& setup)
            : host(with_host),
              context(*host_api_, with_host),
              options(to_view(setup.config)),
              handler(Setup{context, options, to_view(setup.shard), to_view(setup.handler)}) {}
        millrace_host* host;
        Context context;
        Options options;
        T handler;
    };

    explicit Table(const millrace_host_api* host) : description_(T::describe()) {
        host_api_ = host;
        for (const Option& option : description_.options) options_.push_back(option.to_abi());
        for (const Question& question : description_.questions)
            parameters_.push_back(join(question.parameters));
        for (std::size_t i = 0; i < parameters_.size(); ++i) {
            const Question& question = description_.questions[i];
            questions_.push_back(
                {question.name.c_str(), parameters_[i].c_str(),
                 question.description.empty() ? nullptr : question.description.c_str()});
        }
        topics_ = join(description_.topics);
        describe();
        self_ = this;
        api_.check = &check;
        api_.migrate = &migrate;
        api_.create = &create;
        api_.destroy = [](millrace_instance* self) { delete reinterpret_cast<Instance*>(self); };
        api_.on_message = &on_message;
        api_.on_timer = &on_timer;
        api_.on_response = &on_response;
        api_.on_complete = &on_complete;
        api_.on_query = &on_query;
        if constexpr (requires(T& handler) { handler.on_rollback(Rollback::kInput); })
            api_.on_rollback = &on_rollback;
        if constexpr (requires(T& handler) { handler.stop(); }) api_.stop = &stop;
        if constexpr (requires { &T::merge; }) api_.merge = &merge;
    }

    void describe() {
        api_.struct_size = sizeof api_;
        api_.abi_major = MILLRACE_ABI_MAJOR;
        api_.abi_minor = MILLRACE_ABI_MINOR;
        api_.name = description_.name.c_str();
        api_.version = description_.version.c_str();
        api_.description = description_.description.c_str();
        api_.state = static_cast<std::uint32_t>(description_.state);
        api_.subscription = static_cast<std::uint32_t>(description_.subscription);
        api_.input = static_cast<std::uint32_t>(description_.input);
        api_.state_version = description_.state_version;
        api_.options = options_.data();
        api_.option_count = options_.size();
        api_.option_size = sizeof(millrace_option);
        api_.questions = questions_.data();
        api_.question_count = questions_.size();
        api_.question_size = sizeof(millrace_question);
        api_.topics = topics_.empty() ? nullptr : topics_.c_str();
    }

    static std::string join(const std::vector<std::string>& names) {
        std::string joined;
        for (const std::string& name : names) joined += (joined.empty() ? "" : "|") + name;
        return joined;
    }

    // The options one by one, each with its own idea of what is good.
    static void check(millrace_str config, millrace_option_fault_callback fault,
                      void* context) noexcept {
        const auto tell = [&](millrace_str option, std::int64_t item, millrace_str what,
                              std::string_view expected) {
            const millrace_option_fault found{sizeof found, option, item, what, to_abi(expected)};
            fault(context, &found);
        };
        try {
            const Options options(to_view(config));
            for (const Option& option : self_->description_.options) {
                options.each_text(option.name(), [&](std::int64_t item, std::string_view text) {
                    const auto what = option.fault_of(text);
                    if (!what) return;
                    tell(to_abi(option.name()), item,
                         what->empty() ? millrace_str{nullptr, 0} : to_abi(*what),
                         option.expected());
                });
            }
        } catch (...) {
            tell({nullptr, 0}, -1, to_abi("could not be checked by the plugin"),
                 "options it can read");
        }
    }

    static Instance& of(millrace_instance* self) { return *reinterpret_cast<Instance*>(self); }
    static void say(millrace_host* host, std::string_view reason) {
        host_api_->fail(host, to_abi(reason));
    }

    // Runs `body` and makes an outcome of what it returns or throws.
    template <class Body>
    static std::uint32_t guard(millrace_host* host, Body&& body) noexcept {
        try {
            const Outcome outcome = body();
            if (!outcome.reason.empty()) say(host, outcome.reason);
            if (outcome.retry_after)
                host_api_->retry_after(host,
                                       static_cast<std::uint32_t>(outcome.retry_after->count()));
            return outcome.kind;
        } catch (const ServiceError& error) {
            say(host, error.what());
            const bool may_pass =
                error.status() == MILLRACE_ERROR || error.status() == MILLRACE_TIMEOUT;
            return may_pass ? MILLRACE_RETRY : MILLRACE_DEAD_LETTER;
        } catch (const std::exception& error) {
            say(host, error.what());
        } catch (...) {
            say(host, "an exception that is not a std::exception");
        }
        return MILLRACE_DEAD_LETTER;
    }
    // The same for callbacks that answer with a status.
    template <class Body>
    static int guard_status(millrace_host* host, Body&& body) noexcept {
        try {
            return body();
        } catch (const BadParameter& error) {
            say(host, error.what());
            return MILLRACE_CONSTRAINT;
        } catch (const std::exception& error) {
            say(host, error.what());
        } catch (...) {
            say(host, "an exception that is not a std::exception");
        }
        return MILLRACE_ERROR;
    }

    static int migrate(millrace_host* host, const millrace_migration* migration) {
        return guard_status(host, [&] {
            if constexpr (requires(Context& context) { T::migrate(context, 0U); }) {
                Context context(*host_api_, host);
                T::migrate(context, migration->from_version);
            }
            return MILLRACE_OK;
        });
    }
    static millrace_instance* create(millrace_host* host, const millrace_setup* setup) {
        Instance* instance = nullptr;
        guard_status(host, [&] {
            instance = std::make_unique<Instance>(host, *setup).release();
            return MILLRACE_OK;
        });
        return reinterpret_cast<millrace_instance*>(instance);
    }
    static std::uint32_t on_message(millrace_instance* self, const millrace_event* event) {
        Instance& to = of(self);
        return guard(to.host,
                     [&] { return to.handler.on_message(Event(*host_api_, to.host, *event)); });
    }
    static std::uint32_t on_timer(millrace_instance* self, const millrace_timer* timer) {
        return guard(of(self).host, [&] { return of(self).handler.on_timer(Timer(*timer)); });
    }
    static std::uint32_t on_response(millrace_instance* self, const millrace_response* response) {
        return guard(of(self).host,
                     [&] { return of(self).handler.on_response(Response(*response)); });
    }
    static std::uint32_t on_complete(millrace_instance* self, const millrace_event* event,
                                     millrace_str payload) {
        Instance& to = of(self);
        return guard(to.host, [&] {
            return to.handler.on_complete(Event(*host_api_, to.host, *event), to_view(payload));
        });
    }
    static void on_rollback(millrace_instance* self, std::uint32_t scope) {
        guard_status(of(self).host, [&] {
            of(self).handler.on_rollback(static_cast<Rollback>(scope));
            return MILLRACE_OK;
        });
    }
    static Parameters parameters_of(const millrace_query& query) {
        return Parameters({query.parameters, query.parameter_count});
    }
    static int on_query(millrace_instance* self, const millrace_query* query, millrace_out* out) {
        Instance& to = of(self);
        return guard_status(to.host, [&] {
            const auto answer =
                to.handler.on_query(to_view(query->question), parameters_of(*query));
            if (!answer) return MILLRACE_NOT_FOUND;
            host_api_->write(out, to_abi(*answer));
            return MILLRACE_OK;
        });
    }
    static int merge(const millrace_query* query, const millrace_str* answers,
                     std::size_t answer_count, millrace_out* out) {
        try {
            std::vector<std::string_view> texts;
            for (std::size_t i = 0; i < answer_count; ++i) texts.push_back(to_view(answers[i]));
            const std::string merged =
                T::merge(to_view(query->question), parameters_of(*query), texts);
            host_api_->write(out, to_abi(merged));
            return MILLRACE_OK;
        } catch (const std::exception& error) {
            host_api_->write(out, to_abi(error.what()));
        } catch (...) {
            host_api_->write(out, to_abi("an exception that is not a std::exception"));
        }
        return MILLRACE_ERROR;
    }
    static void stop(millrace_instance* self) {
        guard_status(of(self).host, [&] {
            of(self).handler.stop();
            return MILLRACE_OK;
        });
    }

    static inline const millrace_host_api* host_api_ = nullptr;
    static inline const Table* self_ = nullptr;
    Description description_;
    std::vector<millrace_option> options_;
    std::vector<millrace_question> questions_;
    std::vector<std::string> parameters_;
    std::string topics_;  // by question: "user|limit"
    millrace_plugin_api api_{};
};

}  // namespace detail
}  // namespace sdk
}  // namespace millrace
