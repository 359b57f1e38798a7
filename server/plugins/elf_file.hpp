// ElfFile: what can be told of a shared object without running any of its code.
//
// A pure function of the bytes, which are not trusted.
// https://refspecs.linuxfoundation.org/elf/elf.pdf
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace millrace::plugins {

struct ElfFile {
    std::vector<std::string> defined;  // dynamic symbols it defines
    // Those of them that are STB_GNU_UNIQUE: the dynamic linker would merge them between two
    // versions of one plugin.
    std::vector<std::string> unique;

    bool defines(std::string_view symbol) const;
};

// kInvalid: not a shared object. kConflict: one for another machine. kCorrupt: damaged.
Result<ElfFile> read_elf(std::string_view bytes);

}  // namespace millrace::plugins
