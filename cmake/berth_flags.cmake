# Compiler and linker flags of every Berth target. Modules set none of their own.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(BERTH_SANITIZE "" CACHE STRING "Sanitizers for every target: address,undefined or thread")
option(BERTH_FUZZ "Build the fuzz targets (clang only)" OFF)
option(BERTH_WERROR "Treat warnings as errors" ON)

add_library(berth_flags INTERFACE)
target_include_directories(berth_flags INTERFACE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/rust/berth-native/include")
target_compile_options(berth_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wno-missing-field-initializers -fno-omit-frame-pointer "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
  # __COUNTER__ in BERTH_TRY; and std::stable_sort of libstdc++ 12 uses what libstdc++ 12 calls deprecated.
  target_compile_options(berth_flags INTERFACE -Wno-c2y-extensions -Wno-deprecated-declarations)
endif()
if(BERTH_WERROR)
  target_compile_options(berth_flags INTERFACE -Werror)
endif()
if(BERTH_SANITIZE)
  # g++ 12 takes members that its own instrumentation touches for uninitialized, and strings it has inlined for too short.
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(berth_flags INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict)
  endif()
  target_compile_options(berth_flags INTERFACE "-fsanitize=${BERTH_SANITIZE}" -fno-sanitize-recover=all)
  target_link_options(berth_flags INTERFACE "-fsanitize=${BERTH_SANITIZE}")
  if(BERTH_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(berth_flags INTERFACE -Wno-tsan)
  endif()
endif()
if(BERTH_FUZZ)
  target_compile_options(berth_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(berth_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(BERTH_MOLD mold)
if(BERTH_MOLD)
  target_link_options(berth_flags INTERFACE -fuse-ld=mold)
endif()

find_program(BERTH_CCACHE ccache)
if(BERTH_CCACHE)
  # Depend mode: what a source read is taken from the compiler's own list, so that a miss costs no second run of the preprocessor;
  # the rest is what ccache needs to work with precompiled headers (cmake/berth_pch.cmake).
  set(_berth_launcher env CCACHE_DEPEND=1 CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_PCH_EXTSUM=1 "${BERTH_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_berth_launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${_berth_launcher})
endif()
