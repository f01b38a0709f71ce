# The Rust static library with the engine binding, built by cargo into BERTH_CARGO_TARGET (outside the clone,
# so that a second clone starts from compiled dependencies). Cargo decides itself whether anything changed.
find_program(BERTH_CARGO cargo REQUIRED)
if(DEFINED ENV{XDG_CACHE_HOME})
  set(_berth_cache "$ENV{XDG_CACHE_HOME}")
else()
  set(_berth_cache "$ENV{HOME}/.cache")
endif()
set(BERTH_CARGO_TARGET "${_berth_cache}/berth-build/cargo" CACHE PATH "Cargo target folder, shared between clones")
set(_berth_native_library "${CMAKE_BINARY_DIR}/native/libberth_native.a")

# Clones share the folder, and cargo would take one clone's library for another's: each gets a name of its own, and the
# copy is made under a lock, since all are put in the same place in the end.
string(MD5 _berth_clone "${CMAKE_SOURCE_DIR}")
file(MAKE_DIRECTORY "${BERTH_CARGO_TARGET}" "${CMAKE_BINARY_DIR}/native")
add_custom_target(berth_native_build
  COMMAND flock "${BERTH_CARGO_TARGET}/berth-native.lock" sh -c
          "'${CMAKE_COMMAND}' -E env 'CARGO_TARGET_DIR=${BERTH_CARGO_TARGET}' '${BERTH_CARGO}' rustc --lib --release --locked --quiet --manifest-path '${CMAKE_SOURCE_DIR}/rust/berth-native/Cargo.toml' -- -C metadata=${_berth_clone} && '${CMAKE_COMMAND}' -E copy_if_different '${BERTH_CARGO_TARGET}/release/libberth_native.a' '${_berth_native_library}'"
  BYPRODUCTS "${_berth_native_library}"
  USES_TERMINAL
  VERBATIM
  COMMENT "cargo build berth-native")

add_library(berth_native INTERFACE)
if(BERTH_SANITIZE MATCHES thread)
  # A copy that calls functions of ours where the sanitizer would step in: cmake/plain_memory.c says why.
  set(_berth_plain_library "${CMAKE_BINARY_DIR}/native/libberth_native_plain.a")
  set(_berth_plain_names memcpy memmove memset memcmp bcmp memchr strlen malloc calloc realloc free posix_memalign realpath)
  list(TRANSFORM _berth_plain_names REPLACE "(.+)" "--redefine-sym=\\1=berth_plain_\\1" OUTPUT_VARIABLE _berth_plain_flags)
  add_custom_command(OUTPUT "${_berth_plain_library}" DEPENDS "${_berth_native_library}"
    COMMAND "${CMAKE_OBJCOPY}" ${_berth_plain_flags} "${_berth_native_library}" "${_berth_plain_library}" VERBATIM)
  add_custom_target(berth_native_plain DEPENDS "${_berth_plain_library}")
  add_dependencies(berth_native_plain berth_native_build)
  add_library(berth_plain_memory STATIC "${CMAKE_SOURCE_DIR}/cmake/plain_memory.c")
  target_compile_options(berth_plain_memory PRIVATE -O3 -fno-builtin -fno-tree-loop-distribute-patterns)
  add_dependencies(berth_native berth_native_plain)
  target_link_libraries(berth_native INTERFACE "${_berth_plain_library}" berth_plain_memory pthread dl m)
else()
  add_dependencies(berth_native berth_native_build)
  target_link_libraries(berth_native INTERFACE "${_berth_native_library}" pthread dl m)
endif()
