#include "plugins/elf_file.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace millrace::plugins {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
#error "name this machine's ELF number"
#endif

template <class T>
std::optional<T> read_at(std::string_view bytes, std::size_t position) {
    if (position > bytes.size() || bytes.size() - position < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + position, sizeof value);
    return value;
}

Error damaged() { return fail(ErrorCode::kCorrupt, "the file is damaged: build or copy it again"); }

Result<Elf64_Ehdr> read_header(std::string_view bytes) {
    const auto header = read_at<Elf64_Ehdr>(bytes, 0);
    if (!header || !bytes.starts_with(ELFMAG))
        return fail(ErrorCode::kInvalid, "not a shared object (ELF)");
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != kMachine) {
        return fail(ErrorCode::kConflict,
                    fmt::format("built for another machine (ELF machine {}, this one is {})",
                                header->e_machine, kMachine));
    }
    if (header->e_type != ET_DYN)
        return fail(ErrorCode::kInvalid, "an ELF file, but not a shared object");
    return *header;
}

std::optional<Elf64_Shdr> section(std::string_view bytes, const Elf64_Ehdr& header,
                                  std::size_t index) {
    if (index >= header.e_shnum || header.e_shentsize < sizeof(Elf64_Shdr)) return std::nullopt;
    return read_at<Elf64_Shdr>(bytes, header.e_shoff + index * header.e_shentsize);
}

std::optional<std::string_view> contents(std::string_view bytes, const Elf64_Shdr& of) {
    if (of.sh_offset > bytes.size() || bytes.size() - of.sh_offset < of.sh_size)
        return std::nullopt;
    return bytes.substr(of.sh_offset, of.sh_size);
}

std::string name_at(std::string_view names, std::size_t position) {
    if (position >= names.size()) return {};
    const auto rest = names.substr(position);
    return std::string(rest.substr(0, rest.find('\0')));
}

Result<void> read_symbols(std::string_view symbols, std::string_view names, ElfFile& file) {
    for (std::size_t at = 0; at < symbols.size(); at += sizeof(Elf64_Sym)) {
        const auto symbol = read_at<Elf64_Sym>(symbols, at);
        if (!symbol) return damaged();
        if (symbol->st_shndx == SHN_UNDEF) continue;
        std::string name = name_at(names, symbol->st_name);
        if (ELF64_ST_BIND(symbol->st_info) == STB_GNU_UNIQUE) file.unique.push_back(name);
        file.defined.push_back(std::move(name));
    }
    return {};
}

}  // namespace

bool ElfFile::defines(std::string_view symbol) const {
    return std::ranges::find(defined, symbol) != defined.end();
}

Result<ElfFile> read_elf(std::string_view bytes) {
    auto header = read_header(bytes);
    if (!header) return header.error();
    ElfFile file;
    for (std::size_t index = 0; index < header->e_shnum; ++index) {
        const auto table = section(bytes, *header, index);
        if (!table) return damaged();
        if (table->sh_type != SHT_DYNSYM) continue;
        const auto strings = section(bytes, *header, table->sh_link);
        const auto symbols = contents(bytes, *table);
        const auto names = strings ? contents(bytes, *strings) : std::nullopt;
        if (!symbols || !names) return damaged();
        auto read = read_symbols(*symbols, *names, file);
        if (!read) return read.error();
    }
    return file;
}

}  // namespace millrace::plugins
