main() {
  usage "./dev doctor
Says what is missing for building, testing and measuring; installs nothing. 0: nothing, 1: something." "$@"
  local status=0 list missing
  for list in build test check bench; do
    local -n packages="${list}_packages"
    missing=$(missing_packages "${packages[@]}")
    if [ -n "$missing" ]; then
      printf '%-6s missing: %s\n' "$list" "$missing"
      status=1
    else
      printf '%-6s complete\n' "$list"
    fi
  done
  if command -v rustc >/dev/null 2>&1; then printf '%-6s %s\n' rust "$(rustc --version)"; else printf '%-6s missing: rustc-web cargo-web\n' rust; status=1; fi
  if [ -x "build/release/bin/berth" ]; then build/release/bin/berth doctor || status=1; fi
  return $status
}
