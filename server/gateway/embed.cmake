# cmake -DOUTPUT=file.cpp "-DFILES=a;b" -P embed.cmake: the files as constant bytes, for gateway/console_assets.hpp.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/EmbedBytes.cmake)

set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")

set(arrays "")
set(entries "")
set(index 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  string(SUBSTRING ${extension} 1 -1 extension)
  if(NOT DEFINED types_${extension})
    message(FATAL_ERROR "${file}: no content type for .${extension}; add it to embed.cmake")
  endif()
  embed_bytes(${file} kBytes${index} array view)
  string(APPEND arrays "${array}")
  string(APPEND entries "    {\"${name}\", \"${types_${extension}}\", ${view}},\n")
  math(EXPR index "${index} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Made from the files of server/gateway/console.
#include \"gateway/console_assets.hpp\"

#include <algorithm>

namespace millrace::gateway {
namespace {

${arrays}
const ConsoleAsset kAssets[] = {
${entries}};

}  // namespace

std::span<const ConsoleAsset> console_assets() { return kAssets; }

const ConsoleAsset* find_console_asset(std::string_view name) {
    const auto found = std::ranges::find(kAssets, name, &ConsoleAsset::name);
    return found == std::end(kAssets) ? nullptr : &*found;
}

}  // namespace millrace::gateway
")
