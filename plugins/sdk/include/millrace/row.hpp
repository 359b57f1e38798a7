// Value: what SQL takes and gives. Row: a row of a SELECT, by column or as a tuple.
//
// Views; a Row is valid inside the lambda that was given it, on its thread. Errors: ColumnError,
// when a column does not have the type that was asked for; let it pass, and the input is
// dead-lettered with what it says.
#pragma once

#include <millrace/abi.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <millrace/event.hpp>
#include <millrace/time.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace millrace {
inline namespace sdk {

// A parameter of SQL. nullptr, or an optional without a value: NULL. Times are microseconds since
// the epoch.
inline millrace_value to_value(std::nullptr_t) { return {}; }
inline millrace_value to_value(std::integral auto value) {
    return {.type = MILLRACE_VALUE_INTEGER,
            .reserved = 0,
            .integer = static_cast<std::int64_t>(value),
            .real = 0,
            .text = {}};
}
inline millrace_value to_value(double value) {
    return {.type = MILLRACE_VALUE_REAL, .reserved = 0, .integer = 0, .real = value, .text = {}};
}
inline millrace_value to_value(std::string_view value) {
    return {
        .type = MILLRACE_VALUE_TEXT, .reserved = 0, .integer = 0, .real = 0, .text = to_abi(value)};
}
inline millrace_value to_value(const std::string& value) {
    return to_value(std::string_view(value));
}
inline millrace_value to_value(const char* value) { return to_value(std::string_view(value)); }
inline millrace_value to_value(Time value) { return to_value(to_microseconds(value)); }
inline millrace_value to_value(const millrace_value& value) { return value; }
template <class T>
millrace_value to_value(const std::optional<T>& value) {
    return value ? to_value(*value) : millrace_value{};
}
// Bytes rather than text.
inline millrace_value blob(std::string_view bytes) {
    return {
        .type = MILLRACE_VALUE_BLOB, .reserved = 0, .integer = 0, .real = 0, .text = to_abi(bytes)};
}

class ColumnError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

[[noreturn]] inline void refuse_column(std::size_t column, const millrace_value& value,
                                       const char* expected) {
    static constexpr const char* kTypes[] = {"NULL", "an integer", "a real", "a text", "a blob"};
    throw ColumnError("column " + std::to_string(column) + " is " +
                      kTypes[value.type <= MILLRACE_VALUE_BLOB ? value.type : 0] + ", expected " +
                      expected);
}

// A column as a T: an integer, bool, double, text, Time, or an optional of these for what may be
// NULL.
template <class T>
struct Column;

template <std::integral T>
struct Column<T> {
    static T read(std::size_t column, const millrace_value& value) {
        if (value.type != MILLRACE_VALUE_INTEGER) refuse_column(column, value, "an integer");
        if constexpr (std::is_same_v<T, bool>) {
            return value.integer != 0;
        } else {
            if (!std::in_range<T>(value.integer))
                throw ColumnError("column " + std::to_string(column) + " is " +
                                  std::to_string(value.integer) + ", which its type cannot hold");
            return static_cast<T>(value.integer);
        }
    }
};
template <>
struct Column<double> {
    static double read(std::size_t column, const millrace_value& value) {
        if (value.type == MILLRACE_VALUE_INTEGER) return static_cast<double>(value.integer);
        if (value.type != MILLRACE_VALUE_REAL) refuse_column(column, value, "a number");
        return value.real;
    }
};
template <class T>
    requires std::same_as<T, std::string> || std::same_as<T, std::string_view>
struct Column<T> {
    static T read(std::size_t column, const millrace_value& value) {
        if (value.type != MILLRACE_VALUE_TEXT && value.type != MILLRACE_VALUE_BLOB)
            refuse_column(column, value, "a text");
        return T(to_view(value.text));
    }
};
template <>
struct Column<Time> {
    static Time read(std::size_t column, const millrace_value& value) {
        return from_microseconds(Column<std::int64_t>::read(column, value));
    }
};
template <class T>
struct Column<std::optional<T>> {
    static std::optional<T> read(std::size_t column, const millrace_value& value) {
        if (value.type == MILLRACE_VALUE_NULL) return std::nullopt;
        return Column<T>::read(column, value);
    }
};

// Whether a T still holds when its row has gone.
template <class T>
inline constexpr bool kOwns =
    !std::is_same_v<T, std::string_view> && !std::is_same_v<T, std::optional<std::string_view>>;

}  // namespace detail

class Row {
public:
    explicit Row(std::span<const millrace_value> columns) : columns_(columns) {}
    std::size_t size() const { return columns_.size(); }
    bool is_null(std::size_t column) const { return columns_[column].type == MILLRACE_VALUE_NULL; }

    // The column as this type, or ColumnError: row.get<std::optional<std::int64_t>>(2).
    template <class T>
    T get(std::size_t column) const {
        if (column >= size())
            throw ColumnError("the row has " + std::to_string(size()) + " columns, column " +
                              std::to_string(column) + " was asked for");
        return detail::Column<T>::read(column, columns_[column]);
    }
    // All columns: auto [user, times] = row.as<std::string_view, std::int64_t>();
    template <class... Columns>
    std::tuple<Columns...> as() const {
        if (sizeof...(Columns) != size())
            throw ColumnError("the row has " + std::to_string(size()) + " columns, " +
                              std::to_string(sizeof...(Columns)) + " were asked for");
        return read<std::tuple<Columns...>>(std::index_sequence_for<Columns...>());
    }

    // Without a check: what is of another type reads as 0, or empty.
    std::int64_t integer(std::size_t column) const { return columns_[column].integer; }
    double real(std::size_t column) const { return columns_[column].real; }
    std::string_view text(std::size_t column) const { return to_view(columns_[column].text); }
    std::optional<std::string_view> optional_text(std::size_t column) const {
        return is_null(column) ? std::nullopt : std::optional(text(column));
    }
    std::optional<std::int64_t> optional_integer(std::size_t column) const {
        return is_null(column) ? std::nullopt : std::optional(integer(column));
    }
    Time time(std::size_t column) const { return from_microseconds(integer(column)); }

private:
    template <class Tuple, std::size_t... Indexes>
    Tuple read(std::index_sequence<Indexes...>) const {
        return Tuple{get<std::tuple_element_t<Indexes, Tuple>>(Indexes)...};
    }

    std::span<const millrace_value> columns_;
};

}  // namespace sdk
}  // namespace millrace
