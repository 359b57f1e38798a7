// Trouble: what keeps the transport from being ready, by source, and when a source recovered.
//
// Brokers count as away when librdkafka reaches none of them; one of several may come and go.
//
// Thread rule: the loop thread. A source logs when its trouble begins, changes or ends; repeats are
// silent.
#pragma once

#include <librdkafka/rdkafka.h>

#include <map>
#include <optional>
#include <string>

#include "core/log.hpp"

namespace millrace::kafka {

class Trouble {
public:
    explicit Trouble(const std::string& brokers) : brokers_("brokers " + brokers) {}

    void report(const std::string& source, const std::string& text) {
        auto& current = by_source_[source];
        if (current == text) return;
        current = text;
        log::warn("kafka", "{}: {}", source, text);
    }
    void clear(const std::string& source) {
        if (by_source_.erase(source) > 0) log::info("kafka", "{}: works again", source);
    }
    void forget(const std::string& source) { by_source_.erase(source); }
    void broker_error(rd_kafka_resp_err_t code, const std::string& reason) {
        if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
            if (!brokers_are_away()) report(brokers_, last_reason_.empty() ? reason : last_reason_);
            return;
        }
        // What went wrong may be told only after the verdict.
        const bool grave =
            code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
        if (grave || (brokers_are_away() && last_reason_.empty())) report(brokers_, reason);
        last_reason_ = reason;
    }
    void brokers_answered() {
        clear(brokers_);
        last_reason_.clear();
    }
    bool brokers_are_away() const { return by_source_.contains(brokers_); }
    const std::string& last_reason() const { return last_reason_; }

    std::optional<std::string> first() const {
        if (by_source_.empty()) return std::nullopt;
        return by_source_.begin()->first + ": " + by_source_.begin()->second;
    }

private:
    std::string brokers_;
    std::string last_reason_;
    std::map<std::string, std::string> by_source_;
};

}  // namespace millrace::kafka
