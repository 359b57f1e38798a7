#include "plugins/plugin_set.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/temporary_directory.hpp"

namespace millrace::plugins {
namespace {

namespace fs = std::filesystem;

const fs::path kGood = fs::path(MILLRACE_BINARY_DIR) / "plugins";
const fs::path kBad = fs::path(MILLRACE_BINARY_DIR) / "bad_plugins";

std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

void write(const fs::path& file, std::string_view bytes) {
    std::ofstream(file, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

struct Wrong {
    const char* name;
    const char* reason;
    const char* says;
};

TEST(Symbols, each_plugin_that_ships_exports_its_entry_and_nothing_else) {
    const auto set = PluginSet::load({kGood.string()}, {});
    EXPECT_TRUE(set.rejections().empty());  // of which STB_GNU_UNIQUE symbols would be one
    EXPECT_GE(set.plugins().size(), 6U);    // four, and hello twice
    for (const auto& plugin : set.plugins())
        EXPECT_EQ(plugin->exports(), std::vector<std::string>{"millrace_plugin"}) << plugin->file();
}

class BadPlugin : public ::testing::TestWithParam<Wrong> {};

TEST_P(BadPlugin, is_rejected_with_one_clear_line) {
    const auto loaded = PluginSet::load_file(kBad / (std::string(GetParam().name) + ".so"), {});
    ASSERT_FALSE(loaded);
    const Rejection& rejection = loaded.error();
    EXPECT_EQ(rejection.reason, GetParam().reason);
    EXPECT_NE(rejection.message.find(GetParam().says), std::string::npos) << rejection.message;
    EXPECT_EQ(rejection.message.find('\n'), std::string::npos);
}

constexpr Wrong kWrong[] = {{"no_symbol", "no_symbol", "MILLRACE_PLUGIN"},
                            {"unique_symbol", "unique_symbols", "shared_static"},
                            {"undefined_symbol", "dlopen", "nobody_defines_this"},
                            {"refuses", "refused", "build it again"},
                            {"other_major", "major", "this server speaks 1."},
                            {"short_table", "short_table", "bytes of at least"},
                            {"no_table_size", "short_table", "no table"},
                            {"no_name", "table", "`name`"},
                            {"bad_name", "table", "`name`"},
                            {"no_version", "table", "`version`"},
                            {"unknown_state", "table", "`state` is 9"},
                            {"unknown_subscription", "table", "`subscription` is 0"},
                            {"unknown_input", "table", "`input` is 3"},
                            {"broadcast_with_state", "table", "broadcast"},
                            {"raw_per_user", "table", "per_user"},
                            {"version_without_state", "table", "`state_version`"},
                            {"no_create", "table", "`create`"},
                            {"no_destroy", "table", "`destroy`"},
                            {"no_on_message", "table", "`on_message`"},
                            {"no_migrate", "table", "`migrate`"},
                            {"no_on_query", "table", "`on_query`"},
                            {"option_without_name", "table", "option 0"},
                            {"option_of_unknown_type", "table", "type 99"},
                            {"option_twice", "table", "'depth' stands there twice"},
                            {"option_with_wrong_default", "table", "soon"},
                            {"choice_without_words", "table", "choice without words"},
                            {"limits_swapped", "table", "minimum above"}};

INSTANTIATE_TEST_SUITE_P(, BadPlugin, ::testing::ValuesIn(kWrong),
                         [](const auto& wrong) { return wrong.param.name; });

TEST(PluginSet, every_bad_plugin_has_its_test) {
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(kBad))
        files += entry.path().extension() == ".so";
    EXPECT_EQ(files, std::size(kWrong));
}

class PluginFiles : public ::testing::Test {
protected:
    PluginFiles() { fs::create_directories(directory_); }
    std::string reason_of(std::string_view bytes) {
        write(directory_ / "x.so", bytes);
        const auto loaded = PluginSet::load_file(directory_ / "x.so", copies_);
        return loaded ? "loaded" : loaded.error().reason;
    }

    millrace::testing::TemporaryDirectory scratch_;
    fs::path directory_ = fs::path(scratch_.path()) / "in";
    fs::path copies_ = fs::path(scratch_.path()) / "copies";
};

TEST_F(PluginFiles, what_is_no_shared_object_of_this_machine_is_rejected) {
    EXPECT_EQ(reason_of(""), "not_elf");
    EXPECT_EQ(reason_of("#!/bin/sh\n"), "not_elf");
    EXPECT_EQ(reason_of(std::string("\x7f"
                                    "ELF") +
                        std::string(200, '\0')),
              "machine");
    const std::string good = read(kGood / "hello.so");
    std::string other = good;
    other[18] = 0x14;  // e_machine: PowerPC
    EXPECT_EQ(reason_of(other), "machine");
    std::string program = good;
    program[16] = 2;  // e_type: ET_EXEC
    EXPECT_EQ(reason_of(program), "not_elf");
    EXPECT_FALSE(fs::exists(copies_)) << "a rejected file was copied";
}

TEST_F(PluginFiles, a_truncated_file_is_rejected_at_every_length) {
    const std::string good = read(kGood / "hello.so");
    for (std::size_t size = 0; size < good.size(); size += good.size() / 97 + 1) {
        EXPECT_NE(reason_of(std::string_view(good).substr(0, size)), "loaded") << size;
    }
}

TEST_F(PluginFiles, a_file_that_is_not_there_is_rejected) {
    EXPECT_EQ(PluginSet::load_file(directory_ / "no.so", copies_).error().reason, "unreadable");
}

TEST_F(PluginFiles, a_plugin_is_opened_from_a_copy_named_by_its_contents) {
    fs::copy_file(kGood / "hello.so", directory_ / "hello.so");
    const auto loaded = PluginSet::load_file(directory_ / "hello.so", copies_);
    ASSERT_TRUE(loaded);
    EXPECT_EQ((*loaded)->name(), "hello");
    EXPECT_EQ((*loaded)->version(), "1.0.0");
    EXPECT_EQ(read(copies_ / ((*loaded)->digest() + ".so")), read(kGood / "hello.so"));
    EXPECT_EQ((*loaded)->traits().state, engine::StateKind::kPerUser);
    EXPECT_EQ((*loaded)->traits().questions, std::vector<std::string>{"greeted"});
}

TEST_F(PluginFiles, wrong_files_do_not_keep_the_others_from_being_loaded) {
    fs::copy_file(kGood / "hello.so", directory_ / "hello.so");
    fs::copy_file(kGood / "audit.so", directory_ / "zz.so");
    fs::copy_file(kBad / "no_symbol.so", directory_ / "a.so");
    write(directory_ / "notes.txt", "no plugin");
    const auto set = PluginSet::load({directory_}, copies_);
    ASSERT_EQ(set.plugins().size(), 2U);
    EXPECT_TRUE(set.find("hello") && set.find("audit"));
    EXPECT_EQ(set.find("zz"), nullptr);
    ASSERT_EQ(set.rejections().size(), 1U);
    EXPECT_EQ(set.rejections()[0].file, directory_ / "a.so");
}

TEST_F(PluginFiles, of_two_plugins_of_one_name_the_first_is_taken) {
    fs::copy_file(kGood / "hello.so", directory_ / "a.so");
    fs::copy_file(kGood / "hello.so", directory_ / "b.so");
    const auto set = PluginSet::load({directory_}, copies_);
    EXPECT_EQ(set.find("hello")->file(), directory_ / "a.so");
    ASSERT_EQ(set.rejections().size(), 1U);
    EXPECT_EQ(set.rejections()[0].reason, "duplicate");
}

TEST_F(PluginFiles, a_directory_that_is_not_there_is_told) {
    const auto set = PluginSet::load({directory_ / "none"}, copies_);
    ASSERT_EQ(set.rejections().size(), 1U);
    EXPECT_EQ(set.rejections()[0].reason, "unreadable");
}

TEST_F(PluginFiles, a_handler_without_its_plugin_is_told_which_there_are) {
    fs::copy_file(kGood / "hello.so", directory_ / "hello.so");
    fs::copy_file(kBad / "no_symbol.so", directory_ / "audit.so");
    const auto set = PluginSet::load({directory_}, copies_);
    HandlerSection section;
    section.name = "log";
    section.plugin = "audit";
    section.origin = "millrace.yaml:12";
    try {
        set.make_factory(section);
        FAIL() << "a factory without a plugin";
    } catch (const ConfigError& error) {
        const std::string message = error.what();
        EXPECT_TRUE(message.starts_with(
            "millrace.yaml:12: handlers.log.plugin: there is no plugin 'audit'"))
            << message;
        EXPECT_NE(message.find("there are: hello"), std::string::npos) << message;
        EXPECT_NE(message.find("was rejected"), std::string::npos) << message;
    }
    section.plugin = "hello";
    EXPECT_EQ(set.make_factory(section)->traits().plugin, "hello");
}

}  // namespace
}  // namespace millrace::plugins
