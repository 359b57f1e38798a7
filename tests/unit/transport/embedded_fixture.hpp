// What the tests of the embedded log share: a temporary directory, and a LogStore or a transport on
// it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "support/temporary_directory.hpp"
#include "transport/embedded/log_store.hpp"

namespace millrace::embedded {

class LogDirectory {
public:
    std::string log() const { return directory_.path() + "/log"; }
    // The topic's segments, oldest first.
    std::vector<std::filesystem::path> segments(const std::string& topic) const {
        std::vector<std::filesystem::path> files;
        for (const auto& file : std::filesystem::directory_iterator(log() + "/" + topic)) {
            if (file.path().extension() == ".seg") files.push_back(file.path());
        }
        std::ranges::sort(files);
        return files;
    }

private:
    millrace::testing::TemporaryDirectory directory_;
};

inline TopicSpec topic_spec(std::string name, int partitions = 1) {
    TopicSpec spec;
    spec.name = std::move(name);
    spec.partitions = partitions;
    return spec;
}

class EmbeddedStoreTest : public ::testing::Test {
protected:
    static constexpr Timestamp kStart{std::chrono::hours(24 * 365 * 50)};

    std::unique_ptr<LogStore> make_store() {
        StoreOptions options;
        options.directory = directory_.log();
        options.vfs = vfs_;
        options.limits = limits_;
        options.free_bytes = [this] { return free_bytes_; };
        return std::make_unique<LogStore>(std::move(options));
    }
    // Opens the store anew, as the next process would.
    Result<OpenedLog> reopen(const std::vector<TopicSpec>& topics) {
        store_.reset();
        store_ = make_store();
        return store_->open(topics);
    }
    void open(const std::vector<TopicSpec>& topics) {
        auto opened = reopen(topics);
        ASSERT_TRUE(opened) << opened.error().message;
        opened_ = std::move(*opened);
    }
    AppendItem item(std::string value, Timestamp time, Origin origin = Origin::kInternal) const {
        AppendItem item;
        item.origin = origin;
        item.timestamp = time;
        item.record.value = std::move(value);
        return item;
    }
    // One record in a round of its own.
    Result<Offset> append(std::string value, Timestamp now, Origin origin = Origin::kInternal) {
        std::vector<AppendItem> items;
        items.push_back(item(std::move(value), now, origin));
        return store_->append(std::move(items), now).items.at(0).outcome;
    }
    Result<std::vector<std::string>> values(Offset from, Offset end) {
        std::vector<std::string> values;
        while (from < end) {
            auto chunks = store_->read(0, Partition{0}, from, {});
            if (!chunks) return chunks.error();
            BatchBuilder builder({"t", Partition{0}}, Epoch{}, from, {1'000'000, 1U << 30});
            for (const Chunk& chunk : *chunks) {
                if (auto added = builder.add(chunk); !added) return added.error();
            }
            const RecordBatchPtr batch = builder.finish();
            for (const Record& record : batch->records) values.emplace_back(*record.value);
            from = batch->records.back().offset.next();
        }
        return values;
    }

    LogDirectory directory_;
    std::string vfs_;
    EmbeddedSection limits_;
    std::uint64_t free_bytes_ = 1ULL << 40;
    std::unique_ptr<LogStore> store_;
    OpenedLog opened_;
};

}  // namespace millrace::embedded
