#include "events/ids.hpp"

#include <gtest/gtest.h>

#include <set>

namespace millrace {
namespace {

std::string hex(const std::array<std::byte, 16>& bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        constexpr char kDigits[] = "0123456789ABCDEF";
        text += kDigits[std::to_integer<unsigned>(byte) >> 4];
        text += kDigits[std::to_integer<unsigned>(byte) & 15U];
    }
    return text;
}

std::string counting_bytes(std::size_t count) {
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(i);
    return bytes;
}

SipHash128 reference_hash() { return SipHash128(0x0706050403020100U, 0x0f0e0d0c0b0a0908U); }

class CountingRandom final : public Random {
public:
    std::uint64_t next() override { return ++value_; }

private:
    std::uint64_t value_ = 0;
};

// The vectors of the algorithm's authors (vectors_sip128), key 00 01 .. 0f.
TEST(siphash, gives_the_authors_vectors) {
    const std::pair<std::size_t, std::string> vectors[] = {
        {0, "A3817F04BA25A8E66DF67214C7550293"},
        {1, "DA87C1D86B99AF44347659119B22FC45"},
        {2, "8177228DA4A45DC7FCA38BDEF60AFFE4"},
        {15, "5493E99933B0A8117E08EC0F97CFC3D9"}};
    for (const auto& [size, expected] : vectors) {
        SipHash128 hash = reference_hash();
        hash.update(counting_bytes(size));
        EXPECT_EQ(hex(hash.finish()), expected) << size;
    }
}

TEST(siphash, does_not_depend_on_how_the_bytes_are_cut) {
    const std::string bytes = counting_bytes(63);
    SipHash128 whole = reference_hash();
    whole.update(bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        SipHash128 pieces = reference_hash();
        pieces.update(std::string_view(bytes).substr(0, cut));
        pieces.update(std::string_view(bytes).substr(cut));
        EXPECT_EQ(pieces.finish(), whole.finish()) << cut;
    }
}

// From Kafka's own UtilsTest.testMurmur2.
TEST(murmur2, gives_the_hashes_of_kafkas_java_client) {
    const std::pair<std::string_view, std::int32_t> vectors[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107}};
    for (const auto& [key, expected] : vectors) {
        EXPECT_EQ(static_cast<std::int32_t>(murmur2(key)), expected) << key;
    }
}

TEST(murmur2, reads_bytes_above_127_as_java_does_and_picks_a_partition_in_range) {
    for (const std::string_view key : {"", "\xff\xfe\xfd", "user-7", "\x80\x80\x80\x80\x80"}) {
        const Partition partition = partition_for_key(key, 3);
        EXPECT_GE(partition.value, 0);
        EXPECT_LT(partition.value, 3);
    }
    EXPECT_NE(murmur2("\xff"), murmur2("\x7f"));
}

// What a release has written into state files must never change.
TEST(identity, is_the_same_in_every_release) {
    const Identity identity = IdentityBuilder("event").add("one").add(std::int64_t{-2}).finish();
    EXPECT_EQ(to_uuid(identity), "7c20c33a-7275-4c3a-bf88-368a59a1c2e0");
}

TEST(identity, parts_are_told_apart_by_where_they_end) {
    std::set<Identity> seen;
    seen.insert(IdentityBuilder("x").add("ab").add("c").finish());
    seen.insert(IdentityBuilder("x").add("a").add("bc").finish());
    seen.insert(IdentityBuilder("xa").add("b").add("c").finish());
    seen.insert(IdentityBuilder("x").add("abc").finish());
    seen.insert(IdentityBuilder("x").add("abc").add("").finish());
    EXPECT_EQ(seen.size(), 5U);
}

TEST(uuid, made_from_a_hash_has_the_form_of_a_version_4) {
    const std::string text = to_uuid(Identity{});
    EXPECT_EQ(text, "00000000-0000-4000-8000-000000000000");
    EXPECT_TRUE(is_uuid(text));
}

TEST(uuid, made_at_random_has_the_form_and_differs_each_time) {
    CountingRandom random;
    const std::string first = random_uuid(random);
    EXPECT_TRUE(is_uuid(first));
    EXPECT_NE(first, random_uuid(random));
}

TEST(uuid, is_recognised_by_its_form_alone) {
    EXPECT_TRUE(is_uuid("7D9F1C1E-3b1a-1c57-0a5e-0f6d2d6a7b10"));
    EXPECT_FALSE(is_uuid(""));
    EXPECT_FALSE(is_uuid("7d9f1c1e3b1a4c579a5e0f6d2d6a7b10"));
    EXPECT_FALSE(is_uuid("7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b1g"));
    EXPECT_FALSE(is_uuid("{7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b1}"));
    EXPECT_FALSE(is_uuid("7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b101"));
}

}  // namespace
}  // namespace millrace
