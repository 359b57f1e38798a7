# cmake -DOUTPUT=file.cpp "-DFILES=a;b" -P embed_project.cmake: the files as constant bytes, for cli/new_plugin.hpp.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/EmbedBytes.cmake)

set(arrays "")
set(entries "")
set(index 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WLE)  # without .in
  embed_bytes(${file} kBytes${index} array view)
  string(APPEND arrays "${array}")
  string(APPEND entries "    {\"${name}\", ${view}},\n")
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
