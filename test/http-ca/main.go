// http-ca is a CA with an HTTP API: the one that `wasm-issuer plugin new --template http` speaks. README.md has the API.
//
//	http-ca -listen 127.0.0.1:8443 -folder .
//
// Its keys are in memory alone. Into the folder it writes ca.crt, the root that signs everything of it, and secret/token, which
// its clients have to show. With `-listen` an address and port, it serves HTTPS there until it is told to stop.
package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "address and port")
	folder := flag.String("folder", ".", "where to write ca.crt and secret/token")
	flag.Parse()
	if err := serve(*listen, *folder); err != nil {
		log.Fatalf("http-ca: %v", err)
	}
}

func serve(listen, folder string) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	ca, err := newCA()
	if err != nil {
		return err
	}
	certificate, err := ca.serverCertificate(listener.Addr().(*net.TCPAddr).IP)
	if err != nil {
		return err
	}
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return err
	}
	api := newAPI(ca, hex.EncodeToString(token))
	if err := publish(folder, ca.root.pem(), api.token); err != nil {
		return err
	}
	server := http.Server{
		Handler:     api.routes(),
		ReadTimeout: 10 * time.Second,
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{certificate}},
	}
	log.Printf("http-ca: listening at https://%s", listener.Addr())
	return server.ServeTLS(listener, "", "")
}

// publish writes what clients need.
func publish(folder, root, token string) error {
	secret := filepath.Join(folder, "secret")
	if err := os.MkdirAll(secret, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(secret, "token"), []byte(token+"\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "ca.crt"), []byte(root), 0o644)
}
