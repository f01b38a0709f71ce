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
add_dependencies(berth_native berth_native_build)
target_link_libraries(berth_native INTERFACE "${_berth_native_library}" pthread dl m)
