main() {
  usage "./dev dist
Builds build/berth-VERSION-linux-x86_64.tar.gz: the binary (without debug
information), its links, share/, the licence and the notices." "$@"
  common_flags "$@"
  refuse_rest
  set_up
  build_binary
  local version name folder
  version=$("build/$preset/bin/berth" version | head -n 1 | awk '{print $2}')
  name="berth-$version-linux-$(uname -m)"
  folder="build/dist/$name"
  rm -rf "$folder"
  mkdir -p "$folder/bin"
  cp "build/$preset/bin/berth" "build/$preset/bin/berth-fn-exec" "$folder/bin/"
  strip --strip-debug "$folder/bin/berth" "$folder/bin/berth-fn-exec"
  local link
  for link in glyph starkvm starkc vudo dol-codegen; do ln -s berth "$folder/bin/$link"; done
  cp -rL share LICENSE "$folder/"
  scripts/notices > "$folder/THIRD-PARTY-NOTICES.txt"
  tar -C build/dist -czf "build/$name.tar.gz" "$name"
  say "build/$name.tar.gz"
}
