#include "transport/kafka/client.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "core/log.hpp"
#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

constexpr int kSyslogError = 3;
constexpr int kSyslogWarning = 4;

// A property of the other kind of client, a broker of the last decade, and lines that repeat what
// the error callback says.
bool is_chatter(std::string_view facility) {
    return facility == "CONFWARN" || facility == "AUTOCREATE" || facility == "GETPID" ||
           facility == "FAIL" || facility == "ERROR";
}

}  // namespace

void Reaper::bury(std::function<void()> destroy) {
    auto task = [self = shared_from_this(), destroy = std::move(destroy)] {
        destroy();
        --self->alive_;
    };
    {
        const std::lock_guard lock(mutex_);
        if (strand_) return strand_->post(std::move(task));
    }
    task();
}

void Reaper::retire() {
    const std::lock_guard lock(mutex_);
    strand_.reset();
}

Result<ClientPtr> Client::make_producer(ConfPtr conf, ClientEvents events,
                                        const std::shared_ptr<Reaper>& reaper) {
    rd_kafka_conf_set_dr_msg_cb(conf.get(), &Client::on_delivery);
    return make(RD_KAFKA_PRODUCER, std::move(conf), std::move(events), reaper);
}

Result<ClientPtr> Client::make_consumer(ConfPtr conf, ClientEvents events,
                                        const std::shared_ptr<Reaper>& reaper) {
    rd_kafka_conf_set_rebalance_cb(conf.get(), &Client::on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf.get(), &Client::on_commit);
    return make(RD_KAFKA_CONSUMER, std::move(conf), std::move(events), reaper);
}

Result<ClientPtr> Client::make(rd_kafka_type_t type, ConfPtr conf, ClientEvents events,
                               const std::shared_ptr<Reaper>& reaper) {
    std::unique_ptr<Client> client(new Client(std::move(events)));
    rd_kafka_conf_set_opaque(conf.get(), client.get());
    rd_kafka_conf_set_error_cb(conf.get(), &Client::on_error);
    rd_kafka_conf_set_log_cb(conf.get(), &Client::on_log);
    std::array<char, 512> reason{};
    client->handle_ = rd_kafka_new(type, conf.get(), reason.data(), reason.size());
    if (client->handle_ == nullptr)
        return fail(ErrorCode::kInvalid,
                    fmt::format("kafka: no client could be made: {}", reason.data()));
    static_cast<void>(conf.release());
    rd_kafka_set_log_queue(client->handle_, nullptr);
    if (type == RD_KAFKA_CONSUMER) rd_kafka_poll_set_consumer(client->handle_);
    reaper->born();
    return ClientPtr(client.release(),
                     [reaper](Client* last) { reaper->bury([last] { delete last; }); });
}

Client::~Client() {
    if (handle_ != nullptr) rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

void Client::handle_error(int code, const char* reason) {
    const auto error = static_cast<rd_kafka_resp_err_t>(code);
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        std::array<char, 512> text{};
        const auto cause = rd_kafka_fatal_error(handle_, text.data(), text.size());
        const Error fatal{error_code_of(cause), fmt::format("kafka: {}", text.data())};
        if (events_.fatal) events_.fatal(fatal);
        return;
    }
    if (events_.error) events_.error(error, reason == nullptr ? rd_kafka_err2str(error) : reason);
}

void Client::on_error(rd_kafka_t*, int code, const char* reason, void* self) {
    static_cast<Client*>(self)->handle_error(code, reason);
}

void Client::on_log(const rd_kafka_t*, int level, const char* facility, const char* text) {
    if (is_chatter(facility) || level > kSyslogWarning + 1)
        log::debug("kafka", "{}: {}", facility, text);
    else if (level <= kSyslogError)
        log::error("kafka", "{}: {}", facility, text);
    else if (level == kSyslogWarning)
        log::warn("kafka", "{}: {}", facility, text);
    else
        log::info("kafka", "{}: {}", facility, text);
}

void Client::on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t code,
                          rd_kafka_topic_partition_list_t* partitions, void* self) {
    const auto& handler = static_cast<Client*>(self)->events_.rebalance;
    if (handler)
        handler(code, partitions);
    else
        rd_kafka_assign(handle, nullptr);
}

void Client::on_commit(rd_kafka_t*, rd_kafka_resp_err_t code,
                       rd_kafka_topic_partition_list_t* offsets, void* self) {
    const auto& handler = static_cast<Client*>(self)->events_.committed;
    if (handler) handler(code, offsets);
}

void Client::on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    const auto& handler = static_cast<Client*>(self)->events_.delivered;
    if (handler) handler(*message);
}

}  // namespace millrace::kafka
