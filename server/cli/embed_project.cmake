# cmake -DOUTPUT=file.cpp "-DFILES=a;b" -P embed_project.cmake: the files as constant bytes, for cli/new_plugin.hpp.
set(arrays "")
set(entries "")
set(index 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WLE)  # without .in
  file(READ ${file} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "const unsigned char kBytes${index}[] = {${bytes}};\n")
  string(APPEND entries "    {\"${name}\", {reinterpret_cast<const char*>(kBytes${index}), ${size}}},\n")
  math(EXPR index "${index} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Made from the files of server/cli/new_plugin.
#include \"cli/new_plugin.hpp\"

namespace millrace::cli {
namespace {

${arrays}
const ProjectFile kFiles[] = {
${entries}};

}  // namespace

std::span<const ProjectFile> project_files() { return kFiles; }

}  // namespace millrace::cli
")
