//go:build tools

// Package tools keeps the commands that this module exists for in go.mod: without an import `go mod tidy` would drop
// them.
package tools

import (
	_ "github.com/cloudflare/cfssl/cmd/cfssl"
	_ "github.com/cloudflare/cfssl/cmd/multirootca"
)
