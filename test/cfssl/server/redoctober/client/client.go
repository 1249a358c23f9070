// Package client stands for the client of Red October, a service in which a multirootca can keep its CA keys. Not every
// module proxy serves that module, and the servers here keep their keys in files.
package client

import (
	"errors"

	"github.com/cloudflare/redoctober/core"
)

var errLeftOut = errors.New("this build has no Red October")

// RemoteServer is never made.
type RemoteServer struct{}

// NewRemoteServer fails.
func NewRemoteServer(string, string) (*RemoteServer, error) { return nil, errLeftOut }

// DecryptIntoData fails.
func (*RemoteServer) DecryptIntoData(core.DecryptRequest) ([]byte, error) { return nil, errLeftOut }
