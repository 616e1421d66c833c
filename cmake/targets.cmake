# Compiler options and helper functions for all targets of the project.

add_library(sluice_options INTERFACE)
target_include_directories(sluice_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(sluice_options INTERFACE -Wall -Wextra -Wshadow -Wconversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(sluice_options INTERFACE -Wthread-safety)
endif()
if(SLUICE_WERROR)
  target_compile_options(sluice_options INTERFACE -Werror)
endif()
# Enables assertions (base/check.h) in debug and sanitizer builds.
if(SLUICE_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_definitions(SLUICE_CHECKS)
endif()
if(SLUICE_SANITIZE)
  add_compile_options(-fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SLUICE_SANITIZE})
  # The vptr check opens a pipe to test whether memory is readable. A test runs
  # out of file descriptors on purpose, and the check would report a bad pointer.
  add_compile_options(-fno-sanitize=vptr)
endif()
if(SLUICE_SANITIZE MATCHES thread)
  include(${CMAKE_CURRENT_LIST_DIR}/tsan.cmake)
endif()

# sluice_library(name DEPENDS targets... EXCLUDE files...): a static library of
# all sources of the folder. A new source file is found automatically.
function(sluice_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  foreach(excluded ${ARG_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${excluded})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} PRIVATE sluice_options)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

# sluice_precompiled(name): compiles a target of tests/ with precompiled.h.
# Libraries and programs do not use it, so that a missing include fails.
function(sluice_precompiled name)
  target_precompile_headers(${name} REUSE_FROM sluice_precompiled)
  # precompiled.h includes generated code.
  target_link_libraries(${name} PRIVATE sluice_protos)
endfunction()

# sluice_tests(name DEPENDS targets...): one test program from all *_test.cc of
# the folder. Each TEST is one test of ctest.
function(sluice_tests name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *_test.cc)
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} sluice_options
                                        GTest::gmock GTest::gtest_main)
  # Test files use the same names in their anonymous namespaces.
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  if(SLUICE_SANITIZE)
    target_compile_definitions(${name} PRIVATE SLUICE_SANITIZED)
  endif()
  sluice_precompiled(${name})
  set(properties TIMEOUT 300)
  if(SLUICE_TSAN_OPTIONS)
    list(APPEND properties ENVIRONMENT TSAN_OPTIONS=${SLUICE_TSAN_OPTIONS})
  endif()
  include(GoogleTest)
  gtest_discover_tests(${name} TEST_PREFIX ${name}/ DISCOVERY_MODE PRE_TEST
                       PROPERTIES ${properties})
endfunction()
