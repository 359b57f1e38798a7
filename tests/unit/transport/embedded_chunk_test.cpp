#include <gtest/gtest.h>

#include "transport/embedded/chunk.hpp"

namespace millrace::embedded {
namespace {

OutgoingRecord sample(int number) {
    OutgoingRecord record;
    record.key = "key" + std::to_string(number);
    record.value = std::string(static_cast<std::size_t>(number), 'v');
    record.headers = {{"name", "value" + std::to_string(number)}, {"", ""}};
    return record;
}

Chunk sample_chunk(int records) {
    ChunkBuilder builder(Offset{100});
    for (int i = 0; i < records; ++i)
        builder.add(sample(i), Timestamp(milliseconds(1'000 - i * 10)));
    return builder.take();
}

TEST(EmbeddedChunk, headers_of_every_record_stay_its_own_while_the_batch_grows) {
    BatchBuilder builder({"t", Partition{0}}, Epoch{1}, Offset{100}, {});
    ASSERT_TRUE(builder.add(sample_chunk(200)));
    const RecordBatchPtr batch = builder.finish();
    ASSERT_EQ(batch->records.size(), 200U);
    for (std::size_t i = 0; i < 200; ++i) {
        EXPECT_EQ(batch->records[i].headers.size(), 2U);
        EXPECT_EQ(batch->records[i].header("name"), "value" + std::to_string(i));
    }
}

TEST(EmbeddedChunk, reading_begins_inside_a_chunk_and_ends_at_the_limit) {
    BatchBuilder builder({"t", Partition{0}}, Epoch{1}, Offset{105}, {3, 1U << 20});
    ASSERT_TRUE(builder.add(sample_chunk(20)));
    EXPECT_TRUE(builder.full());
    const RecordBatchPtr batch = builder.finish();
    ASSERT_EQ(batch->records.size(), 3U);
    EXPECT_EQ(batch->records.front().offset, Offset{105});
    EXPECT_EQ(batch->records.front().key, "key5");
    EXPECT_EQ(batch->records.back().offset, Offset{107});
}

TEST(EmbeddedChunk, bytes_that_were_cut_anywhere_are_refused) {
    const Chunk whole = sample_chunk(3);
    for (std::size_t length = 0; length < whole.data->size(); ++length) {
        Chunk cut = whole;
        cut.data = std::make_shared<const std::string>(whole.data->substr(0, length));
        BatchBuilder builder({"t", Partition{0}}, Epoch{1}, Offset{100}, {});
        const auto added = builder.add(cut);
        ASSERT_FALSE(added) << "cut to " << length << " bytes";
        EXPECT_EQ(added.error().code, ErrorCode::kCorrupt);
    }
}

TEST(EmbeddedChunk, lengths_that_lie_are_refused) {
    const Chunk whole = sample_chunk(2);
    for (std::size_t at = 0; at < 24; ++at) {
        if (at >= 4 && at < 12) continue;  // the time may be anything
        std::string bytes = *whole.data;
        bytes[at] = '\x7f';
        Chunk lying = whole;
        lying.data = std::make_shared<const std::string>(bytes);
        BatchBuilder builder({"t", Partition{0}}, Epoch{1}, Offset{100}, {});
        EXPECT_FALSE(builder.add(lying)) << "byte " << at;
    }
}

TEST(EmbeddedChunk, a_time_finds_the_first_record_at_or_after_it_though_times_fall) {
    ChunkBuilder builder(Offset{10});
    for (const int time : {5, 3, 9, 4}) builder.add(sample(1), Timestamp(milliseconds(time)));
    const Chunk chunk = builder.take();
    EXPECT_EQ(chunk.last_time, 9);
    EXPECT_EQ(first_at(chunk, 4).value(), Offset{10});
    EXPECT_EQ(first_at(chunk, 6).value(), Offset{12});
    EXPECT_EQ(first_at(chunk, 10).value(), chunk.end());
}

}  // namespace
}  // namespace millrace::embedded
