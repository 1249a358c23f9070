// Package core stands for the part of Red October's core that multirootca's types need.
package core

// DecryptRequest is what a client would send.
type DecryptRequest struct {
	Name     string
	Password string
	Data     []byte
}
