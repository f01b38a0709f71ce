// Programs of others that the tests run: prebuilt guests of several tool chains, and one of some size to be built.
module guests

go 1.24

require (
	github.com/itchyny/gojq v0.12.17
	github.com/tetratelabs/wazero v1.9.0
)

require (
	github.com/itchyny/timefmt-go v0.1.6 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/mattn/go-runewidth v0.0.15 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	golang.org/x/sys v0.20.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
