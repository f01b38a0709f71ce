# What `cmake --install` puts under the prefix for programs that embed Berth: the public headers, one archive of all
# modules, the engine's archive, and a package file for find_package(Berth). `--component embed` installs nothing else.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_berth_embed_modules base async telemetry capability crypto storage engine net process host worlds_wasi worlds_bare runtime app embed)
set(_berth_archive "${CMAKE_BINARY_DIR}/embed/libberth.a")
set(_berth_script "${CMAKE_BINARY_DIR}/embed/libberth.mri")
set(_berth_lines "create ${_berth_archive}\n")
set(_berth_targets "")
foreach(module IN LISTS _berth_embed_modules)
  if(TARGET berth_${module})
    string(APPEND _berth_lines "addlib $<TARGET_FILE:berth_${module}>\n")
    list(APPEND _berth_targets berth_${module})
  endif()
endforeach()
string(APPEND _berth_lines "save\nend\n")
file(GENERATE OUTPUT "${_berth_script}" CONTENT "${_berth_lines}")
add_custom_command(OUTPUT "${_berth_archive}"
  COMMAND "${CMAKE_AR}" -M < "${_berth_script}"
  COMMAND "${CMAKE_STRIP}" --strip-debug "${_berth_archive}"
  DEPENDS ${_berth_targets} "${_berth_script}"
  VERBATIM
  COMMENT "libberth.a")
add_custom_target(berth_embed_archive ALL DEPENDS "${_berth_archive}")

configure_package_config_file("${CMAKE_SOURCE_DIR}/cmake/BerthConfig.cmake.in" "${CMAKE_BINARY_DIR}/embed/BerthConfig.cmake"
  INSTALL_DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/Berth" PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/embed/BerthConfigVersion.cmake" COMPATIBILITY SameMinorVersion)

install(FILES "${_berth_archive}" "${CMAKE_BINARY_DIR}/native/libberth_native.a" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT embed)
install(FILES "${CMAKE_BINARY_DIR}/embed/BerthConfig.cmake" "${CMAKE_BINARY_DIR}/embed/BerthConfigVersion.cmake" DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/Berth" COMPONENT embed)
install(TARGETS berth_fn_exec DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/berth" COMPONENT embed)
# The public header and what it includes, nothing else: scripts/tests/embed.sh compiles each of them alone.
install(FILES src/berth/base/error.hpp src/berth/base/error_code.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/berth/base" COMPONENT embed)
install(FILES src/berth/embed/host.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/berth/embed" COMPONENT embed)
