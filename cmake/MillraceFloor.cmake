# millrace_floor(NAME [USES floor...] [PRIVATE_USES library...] [PUBLIC_USES library...])
#
# One library per folder of server/, made of the sources in it (not below it). USES names the floors beneath it, so that the
# linker sees the direction too: a floor cannot call what it does not use. A new source file is picked up by itself.
function(millrace_floor NAME)
  cmake_parse_arguments(FLOOR "" "" "USES;PRIVATE_USES;PUBLIC_USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  add_library(${NAME} STATIC ${sources})
  set_target_properties(${NAME} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/server)
  target_link_libraries(${NAME}
    PUBLIC ${FLOOR_USES} ${FLOOR_PUBLIC_USES}
    PRIVATE millrace_warnings ${FLOOR_PRIVATE_USES})
endfunction()
