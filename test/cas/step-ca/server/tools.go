//go:build tools

// Package server pins the version of step-ca that the tests run against.
package server

import _ "github.com/smallstep/certificates/cmd/step-ca"
