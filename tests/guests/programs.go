//go:build programs

// Package guests names what go.mod holds, so that `go mod tidy` keeps it.
package guests

import (
	_ "github.com/itchyny/gojq/cmd/gojq"
	_ "github.com/tetratelabs/wazero"
)
