// Command registry is crane's registry, where it also lists what refers to a manifest (the referrers API): crane does not
// have it do so. Arguments: the address that it listens on, and a folder for blobs.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	blobs := registry.NewDiskBlobHandler(os.Args[2])
	log.Fatal(http.ListenAndServe(os.Args[1], registry.New(registry.WithBlobHandler(blobs), registry.WithReferrersSupport(true))))
}
