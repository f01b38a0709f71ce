# berth_module(name HEADERS … SOURCES … TESTS … DEPENDS berth::x … THIRD_PARTY …)
#
# One static library `berth_<name>` with the alias `berth::<name>` ('/' in a name becomes '_'). TESTS are
# collected over all modules into the one executable `berth_tests`. THIRD_PARTY is linked privately.
define_property(GLOBAL PROPERTY BERTH_TEST_SOURCES BRIEF_DOCS "test sources" FULL_DOCS "of all modules")
define_property(GLOBAL PROPERTY BERTH_TEST_LIBRARIES BRIEF_DOCS "module libraries" FULL_DOCS "of all modules")

function(berth_module name)
  cmake_parse_arguments(arg "" "" "HEADERS;SOURCES;TESTS;DEPENDS;THIRD_PARTY" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "berth_module(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  string(REPLACE "/" "_" flat "${name}")
  add_library(berth_${flat} STATIC ${arg_SOURCES} ${arg_HEADERS})
  add_library(berth::${flat} ALIAS berth_${flat})
  target_link_libraries(berth_${flat} PUBLIC berth_flags ${arg_DEPENDS} PRIVATE ${arg_THIRD_PARTY})
  berth_use_pch(berth_${flat})
  list(TRANSFORM arg_TESTS PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  set_property(GLOBAL APPEND PROPERTY BERTH_TEST_SOURCES ${arg_TESTS})
  set_property(GLOBAL APPEND PROPERTY BERTH_TEST_LIBRARIES berth_${flat})
endfunction()

function(berth_finish_tests)
  get_property(sources GLOBAL PROPERTY BERTH_TEST_SOURCES)
  get_property(libraries GLOBAL PROPERTY BERTH_TEST_LIBRARIES)
  if(NOT sources)
    return()
  endif()
  add_library(berth_test_support STATIC "${CMAKE_SOURCE_DIR}/tests/support/source_dir.cpp")
  target_include_directories(berth_test_support PUBLIC "${CMAKE_SOURCE_DIR}/tests")
  target_compile_definitions(berth_test_support PRIVATE "BERTH_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"" "BERTH_BUILD_DIR=\"${CMAKE_BINARY_DIR}\"")
  target_link_libraries(berth_test_support PUBLIC berth_flags)
  add_executable(berth_tests ${sources} "${CMAKE_SOURCE_DIR}/tests/support/main.cpp")
  target_link_libraries(berth_tests PRIVATE ${libraries} berth_test_support GTest::gmock)
  # Compiling the tests is half of a build; what they test is compiled as it is used.
  target_compile_options(berth_tests PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>)
  berth_precompile(berth_tests ${BERTH_PCH_TEST_HEADERS})
endfunction()

# berth_take_archive(TARGET FILE): an imported library is taken from its archive where the system has one.
function(berth_take_archive target file)
  find_library(BERTH_ARCHIVE_${file} "${file}")
  if(BERTH_ARCHIVE_${file})
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${BERTH_ARCHIVE_${file}}" IMPORTED_LOCATION_NONE "${BERTH_ARCHIVE_${file}}"
      IMPORTED_LOCATION_RELEASE "${BERTH_ARCHIVE_${file}}")
  endif()
endfunction()
