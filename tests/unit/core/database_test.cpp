#include "core/sqlite/database.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace millrace::sqlite {
namespace {

class DatabaseTest : public testing::Test {
protected:
    DatabaseTest() {
        path_ = std::filesystem::temp_directory_path() /
                ("millrace-db-" + std::to_string(::getpid()) + ".db");
        remove();
        database_ = Database::open(path_.string()).value();
        EXPECT_TRUE(database_->execute(
            "CREATE TABLE _host(a INTEGER PRIMARY KEY); CREATE TABLE t(a INTEGER PRIMARY KEY, b)"));
    }
    ~DatabaseTest() override {
        database_.reset();
        remove();
    }
    void remove() {
        for (const char* suffix : {"", "-wal", "-shm"})
            std::filesystem::remove(path_.string() + suffix);
    }

    std::filesystem::path path_;
    std::unique_ptr<Database> database_;
};

TEST_F(DatabaseTest, values_of_every_type_come_back_as_they_went_in) {
    auto insert = database_->prepare("INSERT INTO t(b) VALUES (?1)").value();
    const std::string_view text("a\0b", 3);
    insert.bind(1, text);
    ASSERT_TRUE(insert.run());
    insert.bind(1, std::int64_t{-5});
    ASSERT_TRUE(insert.run());
    insert.bind_null(1);
    ASSERT_TRUE(insert.run());
    auto select = database_->prepare("SELECT b FROM t ORDER BY a").value();
    ASSERT_TRUE(select.step().value());
    EXPECT_EQ(select.text(0), text);
    ASSERT_TRUE(select.step().value());
    EXPECT_EQ(select.integer(0), -5);
    ASSERT_TRUE(select.step().value());
    EXPECT_TRUE(select.is_null(0));
    EXPECT_FALSE(select.step().value());
}

TEST_F(DatabaseTest, a_plugin_may_not_touch_transactions_pragmas_schema_or_host_tables) {
    for (const char* sql :
         {"COMMIT", "SAVEPOINT x", "PRAGMA synchronous=OFF", "ATTACH '/tmp/x' AS x",
          "CREATE TABLE u(a)", "INSERT INTO _host VALUES (1)", "SELECT * FROM _host",
          "DELETE FROM _host", "SELECT load_extension('x')"}) {
        auto prepared = database_->prepare(sql, Trust::kPlugin);
        ASSERT_TRUE(prepared.has_error()) << sql;
        EXPECT_EQ(prepared.error().code, ErrorCode::kDenied) << prepared.error().message;
    }
    EXPECT_TRUE(database_->prepare("INSERT INTO t(b) SELECT count(*) FROM t", Trust::kPlugin));
}

TEST_F(DatabaseTest, a_migration_may_change_its_own_schema_only) {
    EXPECT_TRUE(
        database_->execute("CREATE TABLE u(a PRIMARY KEY); CREATE INDEX ui ON u(a); ALTER TABLE u "
                           "ADD COLUMN c; DROP TABLE u",
                           Trust::kPluginSchema));
    EXPECT_FALSE(database_->execute("CREATE TABLE _x(a)", Trust::kPluginSchema));
    EXPECT_FALSE(database_->execute("DROP TABLE _host", Trust::kPluginSchema));
    EXPECT_FALSE(database_->execute("COMMIT", Trust::kPluginSchema));
}

TEST_F(DatabaseTest, a_question_may_only_read) {
    EXPECT_TRUE(database_->prepare("SELECT max(a) FROM t", Trust::kPluginRead));
    EXPECT_FALSE(database_->prepare("INSERT INTO t(b) VALUES (1)", Trust::kPluginRead));
    EXPECT_FALSE(database_->prepare("SELECT * FROM _host", Trust::kPluginRead));
}

TEST_F(DatabaseTest, a_broken_statement_says_file_and_statement) {
    auto prepared = database_->prepare("SELEKT 1");
    ASSERT_TRUE(prepared.has_error());
    EXPECT_NE(prepared.error().message.find("SELEKT 1"), std::string::npos);
    EXPECT_NE(prepared.error().message.find(path_.string()), std::string::npos);
}

TEST_F(DatabaseTest, two_statements_in_one_are_refused_rather_than_half_run) {
    EXPECT_FALSE(database_->prepare("SELECT 1; SELECT 2"));
    EXPECT_TRUE(database_->prepare("SELECT 1; "));
}

TEST_F(DatabaseTest, a_constraint_is_told_apart_from_a_disk_fault) {
    ASSERT_TRUE(database_->execute("INSERT INTO t(a) VALUES (1)"));
    auto again = database_->execute("INSERT INTO t(a) VALUES (1)");
    ASSERT_TRUE(again.has_error());
    EXPECT_EQ(again.error().code, ErrorCode::kConflict);
}

TEST_F(DatabaseTest, the_log_can_be_made_durable_between_commits) {
    ASSERT_TRUE(database_->execute("INSERT INTO t(b) VALUES ('x')"));
    EXPECT_TRUE(database_->sync_log());
}

TEST_F(DatabaseTest, a_second_owner_is_refused_while_the_file_is_open) {
    ASSERT_TRUE(database_->execute("INSERT INTO t(b) VALUES ('x')"));
    auto second = Database::open(path_.string());
    ASSERT_TRUE(second.has_error());
    EXPECT_EQ(second.error().code, ErrorCode::kConflict);
}

}  // namespace
}  // namespace millrace::sqlite
