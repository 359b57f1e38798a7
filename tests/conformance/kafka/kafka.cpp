// The conformance suite over a real broker, which tests/integration/kafka/broker starts:
//
//     tests/integration/kafka/broker run -- build/release/tests/conformance_kafka
#include <cstdlib>
#include <string>

#include "conformance/suite/transport_conformance.hpp"
#include "transport/kafka/kafka_transport.hpp"

namespace millrace::conformance {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

class KafkaFixture final : public TransportFixture {
public:
    explicit KafkaFixture(AsioRuntime& runtime) : runtime_(runtime) {}

    std::optional<std::string> skip_reason() override {
        if (!environment("MILLRACE_TEST_BROKERS").empty()) return std::nullopt;
        const std::string reason = environment("MILLRACE_TEST_BROKERS_UNAVAILABLE");
        if (!reason.empty()) return "no Kafka broker: " + reason;
        return "MILLRACE_TEST_BROKERS is not set; run this by tests/integration/kafka/broker run "
               "--";
    }
    Capabilities capabilities() const override { return {}; }
    std::unique_ptr<Transport> make(int member) override {
        KafkaSection section;
        section.brokers = environment("MILLRACE_TEST_BROKERS");
        section.create_topics = KafkaSection::CreateTopics::kAll;
        // Short: a static member that leaves is replaced only when its session has expired.
        section.properties = {{"session.timeout.ms", "2000"}, {"heartbeat.interval.ms", "200"}};
        return std::make_unique<KafkaTransport>(runtime_, section,
                                                "installation" + std::to_string(member));
    }

private:
    AsioRuntime& runtime_;
};

INSTANTIATE_TEST_SUITE_P(
    kafka, TransportConformance,
    testing::Values(Candidate{
        "broker", [](AsioRuntime& runtime) { return std::make_unique<KafkaFixture>(runtime); },
        std::chrono::milliseconds(30'000)}),
    candidate_name);

}  // namespace
}  // namespace millrace::conformance
