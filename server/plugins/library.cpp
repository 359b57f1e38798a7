#include "plugins/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "plugins/elf_file.hpp"

namespace millrace::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxLibraryBytes = 1ULL << 30;

std::optional<std::string> read_file(const fs::path& file) {
    std::error_code fault;
    const auto size = fs::file_size(file, fault);
    if (fault || size > kMaxLibraryBytes) return std::nullopt;
    std::ifstream in(file, std::ios::binary);
    if (!in) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string sha256(std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
}

Accepted<ElfFile> check_symbols(const fs::path& file, std::string_view bytes) {
    auto elf = read_elf(bytes);
    if (!elf)
        return Rejection{file, elf.error().code == ErrorCode::kConflict ? "machine" : "not_elf",
                         elf.error().message};
    if (!elf->defines("millrace_plugin")) {
        return Rejection{file, "no_symbol",
                         "exports no `millrace_plugin`: build it with millrace_add_plugin() and "
                         "name its class in MILLRACE_PLUGIN"};
    }
    if (!elf->unique.empty()) {
        return Rejection{
            file, "unique_symbols",
            fmt::format("defines {} STB_GNU_UNIQUE symbols ({} ...), which two versions would "
                        "share: build it with "
                        "millrace_add_plugin(), or with -fno-gnu-unique and a version script",
                        elf->unique.size(), elf->unique.front())};
    }
    return *std::move(elf);
}

// Written beside its final name and renamed, so that a copy is whole or absent.
std::error_code write_copy(const fs::path& copy, std::string_view bytes) {
    std::error_code fault;
    if (fs::exists(copy, fault)) return {};
    fs::create_directories(copy.parent_path(), fault);
    if (fault) return fault;
    const fs::path part = copy.string() + fmt::format(".{}.part", ::getpid());
    std::ofstream out(part, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) return std::make_error_code(std::errc::io_error);
    fs::rename(part, copy, fault);
    return fault;
}

}  // namespace

Accepted<Library> open_library(const fs::path& file, const fs::path& copy_directory) {
    const auto bytes = read_file(file);
    if (!bytes) return Rejection{file, "unreadable", "cannot be read: look at its permissions"};
    auto elf = check_symbols(file, *bytes);
    if (!elf) return elf.error();
    Library library{nullptr, file, sha256(*bytes), std::move(elf->defined)};
    fs::path opened = fs::absolute(file);
    if (!copy_directory.empty()) {
        opened = fs::absolute(copy_directory / (library.digest + ".so"));
        if (const auto fault = write_copy(opened, *bytes)) {
            return Rejection{
                file, "copy",
                fmt::format("cannot be copied to {}: {}", opened.string(), fault.message())};
        }
    }
    void* handle = ::dlopen(opened.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr)
        return Rejection{file, "dlopen", fmt::format("cannot be opened: {}", ::dlerror())};
    library.entry = reinterpret_cast<Library::Entry>(::dlsym(handle, "millrace_plugin"));
    if (library.entry == nullptr)
        return Rejection{file, "no_symbol", fmt::format("cannot be opened: {}", ::dlerror())};
    return library;
}

}  // namespace millrace::plugins
