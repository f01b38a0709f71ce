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

add_custom_target(berth_native_build
  COMMAND "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${BERTH_CARGO_TARGET}" "${BERTH_CARGO}" build --release --locked --quiet
          --manifest-path "${CMAKE_SOURCE_DIR}/rust/berth-native/Cargo.toml"
  COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_BINARY_DIR}/native"
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${BERTH_CARGO_TARGET}/release/libberth_native.a" "${_berth_native_library}"
  BYPRODUCTS "${_berth_native_library}"
  USES_TERMINAL
  COMMENT "cargo build berth-native")

add_library(berth_native INTERFACE)
add_dependencies(berth_native berth_native_build)
target_link_libraries(berth_native INTERFACE "${_berth_native_library}" pthread dl m)
