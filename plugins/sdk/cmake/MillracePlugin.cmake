# millrace_add_plugin(NAME source...)
#
# Makes NAME.so from the sources: a module that exports one symbol, defines no STB_GNU_UNIQUE symbols (the server would refuse
# it: they merge the statics of two versions) and leaves nothing undefined.
set(MILLRACE_PLUGIN_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/plugin.map CACHE INTERNAL "")

function(millrace_add_plugin NAME)
  add_library(${NAME} MODULE ${ARGN})
  target_link_libraries(${NAME} PRIVATE millrace::sdk)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(CXX IN_LIST languages)  # a plugin may be in C alone
    target_compile_features(${NAME} PRIVATE cxx_std_20)
  endif()
  if(C IN_LIST languages)
    target_compile_features(${NAME} PRIVATE c_std_11)
  endif()
  target_compile_options(${NAME} PRIVATE -fvisibility=hidden
    $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(${NAME} PRIVATE -Wl,--version-script=${MILLRACE_PLUGIN_EXPORTS})
  set_target_properties(${NAME} PROPERTIES PREFIX "" LINK_DEPENDS ${MILLRACE_PLUGIN_EXPORTS}
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
endfunction()
