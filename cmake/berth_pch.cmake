# Precompiled headers: one for all modules, one for the tests. They hold headers of the system only, so that no change to a source
# of Berth makes them anew. g++ only: clang builds every source without them, which shows that each includes what it uses.
option(BERTH_PCH "Precompile headers of the system (g++ only)" ON)

# What most sources read. Named by the brackets, not by a file of ours: its path would differ between clones, and with it all that
# ccache keeps.
set(BERTH_PCH_HEADERS
  <algorithm> <array> <atomic> <bit> <charconv> <chrono> <condition_variable> <coroutine> <cstddef> <cstdint> <cstdlib> <cstring> <deque>
  <expected> <filesystem> <fstream> <functional> <limits> <list> <map> <memory> <mutex> <optional> <set> <span> <sstream> <string>
  <string_view> <thread> <type_traits> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)
set(BERTH_PCH_TEST_HEADERS ${BERTH_PCH_HEADERS} <gmock/gmock.h> <gtest/gtest.h>)

# g++ maps a precompiled header to the address it was made at; where the system does not let it, it cannot be used at all.
function(berth_try_pch result)
  set(folder "${CMAKE_BINARY_DIR}/CMakeFiles/pch-probe")
  file(WRITE "${folder}/probe.hpp" "#include <cstddef>\n")
  file(WRITE "${folder}/probe.cpp" "std::size_t probe;\n")
  execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -x c++-header probe.hpp -o probe.hpp.gch
    WORKING_DIRECTORY "${folder}" RESULT_VARIABLE made OUTPUT_QUIET ERROR_QUIET)
  execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -Winvalid-pch -Werror -include probe.hpp -fsyntax-only probe.cpp
    WORKING_DIRECTORY "${folder}" RESULT_VARIABLE used OUTPUT_QUIET ERROR_QUIET)
  if(made EQUAL 0 AND used EQUAL 0)
    set(${result} ON PARENT_SCOPE)
  else()
    set(${result} OFF PARENT_SCOPE)
  endif()
endfunction()

set(BERTH_USE_PCH OFF)
if(BERTH_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  berth_try_pch(BERTH_USE_PCH)
  if(NOT BERTH_USE_PCH)
    message(STATUS "precompiled headers do not work here; building without them")
  endif()
endif()

# What the headers hold, as one hash: that of every file they read. The build configures itself anew when one of them changes.
function(berth_pch_digest result)
  set(probe "${CMAKE_BINARY_DIR}/CMakeFiles/pch-probe/all.hpp")
  list(TRANSFORM BERTH_PCH_TEST_HEADERS PREPEND "#include " OUTPUT_VARIABLE lines)
  list(JOIN lines "\n" text)
  file(WRITE "${probe}" "${text}\n")
  execute_process(COMMAND "${CMAKE_CXX_COMPILER}" -std=c++23 -M -MT all "${probe}" OUTPUT_VARIABLE rule COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "/[^ \\\n]+" files "${rule}")
  set(digests "")
  foreach(file IN LISTS files)
    file(SHA256 "${file}" digest)
    string(APPEND digests "${digest}")
  endforeach()
  string(SHA256 digest "${digests}")
  set(${result} "${digest}" PARENT_SCOPE)
  list(REMOVE_ITEM files "${probe}")
  set_property(DIRECTORY "${CMAKE_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files})
endfunction()

# berth_precompile(TARGET HEADER…), with a text that ccache takes for the contents of the precompiled header, which no two builds
# make alike byte for byte.
function(berth_precompile target)
  if(BERTH_USE_PCH)
    target_precompile_headers(${target} PRIVATE ${ARGN})
    file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.gch.sum" "${ARGN} ${BERTH_PCH_DIGEST}\n")
  endif()
endfunction()

if(BERTH_USE_PCH)
  berth_pch_digest(BERTH_PCH_DIGEST)
  add_library(berth_pch STATIC "${CMAKE_SOURCE_DIR}/cmake/berth_pch.cpp")
  target_link_libraries(berth_pch PRIVATE berth_flags)
  berth_precompile(berth_pch ${BERTH_PCH_HEADERS})
endif()

# berth_use_pch(TARGET): the modules' precompiled header, for static libraries that define no macros of their own.
function(berth_use_pch target)
  if(BERTH_USE_PCH)
    target_precompile_headers(${target} REUSE_FROM berth_pch)
  endif()
endfunction()
