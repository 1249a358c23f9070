//go:build tools

// Package tools keeps the two commands that this module exists for in go.mod:
// without an import `go mod tidy` would drop them.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
