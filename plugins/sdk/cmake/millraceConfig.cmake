# find_package(millrace): millrace::sdk, millrace::sdk_testing (needs SQLite3) and millrace_add_plugin().
include(CMakeFindDependencyMacro)
find_dependency(SQLite3)
include(${CMAKE_CURRENT_LIST_DIR}/millraceTargets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/MillracePlugin.cmake)
