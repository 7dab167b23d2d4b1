# Build-wide settings. Nothing here depends on the machine that compiles: instruction sets beyond the
# baseline are chosen at run time (core/backend/cpu).
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

option(JLCM_TESTS "Build the tests" ON)
option(JLCM_BENCH "Build the benchmarks" OFF)
option(JLCM_RUNTIME_ONLY "Build libjlcm_runtime alone, with its C interface and the example in C (docs/phone.md)" OFF)
include(CMakeDependentOption)
cmake_dependent_option(JLCM_ONEDNN "Products of many rows by oneDNN, else by Eigen" OFF JLCM_RUNTIME_ONLY ON)
cmake_dependent_option(JLCM_OPENSSL "SHA-256 by OpenSSL, else by our own" OFF JLCM_RUNTIME_ONLY ON)
option(JLCM_PCH "Precompile the libraries' headers that most sources include (g++)" ON)
option(JLCM_WERROR "Treat warnings as errors" ON)
set(JLCM_ROOMS "" CACHE STRING "Rooms of core to build alone, without plugins and programs; empty: everything")
set(JLCM_SANITIZE "" CACHE STRING "Sanitizers: 'address,undefined', 'thread' or empty")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_program(JLCM_CCACHE ccache)
if(JLCM_CCACHE)
  # What ccache asks for if headers are precompiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${JLCM_CCACHE})
endif()

# g++ 12 takes precompiled headers for ours, and reports std::string in them falsely (GCC bug 105329 again).
set(JLCM_PCH_OPTIONS -fpch-preprocess -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)

# jlcm_precompile_headers(TARGET [HEADER...]): precompiles the libraries' headers that most sources include, and these.
function(jlcm_precompile_headers target)
  if(JLCM_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE ${JLCM_PCH_OPTIONS})
    target_precompile_headers(${target} PRIVATE <algorithm> <cmath> <cstdint> <filesystem> <functional> <map> <memory>
      <optional> <span> <string> <string_view> <vector> <fmt/format.h> <nlohmann/json.hpp> ${ARGN})
  endif()
endfunction()

# jlcm_reuse_precompiled_headers(PROGRAM LIBRARY): a program takes the headers that `LIBRARY` precompiled.
function(jlcm_reuse_precompiled_headers program library)
  if(JLCM_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # As the headers were: programs would be compiled with -fPIE.
    set_target_properties(${program} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${program} PRIVATE -fPIC ${JLCM_PCH_OPTIONS})
    target_precompile_headers(${program} REUSE_FROM ${library})
  endif()
endfunction()

add_library(jlcm_settings INTERFACE)
target_include_directories(jlcm_settings INTERFACE ${CMAKE_SOURCE_DIR})
# -ffp-contract=off: the same source gives the same rounding wherever the compiler inlines it.
# -Wno-restrict: g++ 12 reports std::string concatenation falsely (GCC bug 105329).
target_compile_options(jlcm_settings INTERFACE -Wno-restrict -Wall -Wextra -Wpedantic -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor;-Woverloaded-virtual> -ffp-contract=off $<$<BOOL:${JLCM_WERROR}>:-Werror>)
if(JLCM_SANITIZE)
  # g++ sees uninitialised members in the standard library where its sanitizers rewrite the code.
  target_compile_options(jlcm_settings INTERFACE -fsanitize=${JLCM_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all -g1 -Wno-maybe-uninitialized)
  target_link_options(jlcm_settings INTERFACE -fsanitize=${JLCM_SANITIZE})
  if(JLCM_SANITIZE MATCHES "thread")
    # ThreadSanitizer reports false races inside oneTBB; the parallel seam then runs on std::thread.
    target_compile_definitions(jlcm_settings INTERFACE JLCM_STD_THREADS)
  endif()
endif()
