#include <stdlib.h>

#include <filesystem>

#include "conformance/suite/transport_conformance.hpp"
#include "transport/embedded/embedded_transport.hpp"

namespace millrace::conformance {
namespace {

class EmbeddedFixture final : public TransportFixture {
public:
    explicit EmbeddedFixture(AsioRuntime& runtime, const EmbeddedSection& limits)
        : runtime_(runtime), limits_(limits) {
        std::string path =
            (std::filesystem::temp_directory_path() / "millrace-conformance-XXXXXX").string();
        if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
        directory_ = path;
    }
    ~EmbeddedFixture() override { std::filesystem::remove_all(directory_); }

    Capabilities capabilities() const override {
        Capabilities all;
        all.members_share_transport = true;
        return all;
    }
    std::unique_ptr<Transport> make(int) override {
        return std::make_unique<EmbeddedTransport>(runtime_, limits_, directory_ / "log");
    }

private:
    AsioRuntime& runtime_;
    EmbeddedSection limits_;
    std::filesystem::path directory_;
};

Candidate candidate(const std::string& name, const EmbeddedSection& limits) {
    return {name, [limits](AsioRuntime& runtime) {
                return std::make_unique<EmbeddedFixture>(runtime, limits);
            }};
}

// Small enough that nearly everything is read from segments, and from many of them.
EmbeddedSection tiny() {
    EmbeddedSection limits;
    limits.tail_cache_bytes = 1;
    limits.segment_bytes = 64U << 10;
    return limits;
}

INSTANTIATE_TEST_SUITE_P(embedded, TransportConformance,
                         testing::Values(candidate("defaults", {}),
                                         candidate("tiny_segments", tiny())),
                         candidate_name);

}  // namespace
}  // namespace millrace::conformance
