# embed_bytes(FILE NAME ARRAY VIEW): FILE as the C++ array NAME. ARRAY gets its definition, VIEW the initialiser of a std::string_view of it.
# For scripts that make a source of files (server/gateway/embed.cmake, server/cli/embed_project.cmake).
function(embed_bytes file name array view)
  file(READ ${file} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  set(${array} "const unsigned char ${name}[] = {${bytes}};\n" PARENT_SCOPE)
  set(${view} "{reinterpret_cast<const char*>(${name}), ${size}}" PARENT_SCOPE)
endfunction()
