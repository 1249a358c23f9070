package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const startLimit = 2 * time.Minute // generous: another build may have both cores

// startEtcd returns the URL of its socket. A socket in a private folder needs no port and no password.
func (c *cluster) startEtcd() (string, error) {
	say("starting etcd")
	client := filepath.Join(c.workdir, "etcd.sock")
	// etcd insists on "host:port" in what it advertises, also for a socket. Nobody reads either; for the peers it must be
	// where etcd listens, and becomes a socket of that name in the work folder.
	const peer = "unix://peer:1"
	p, err := c.launch("etcd", exec.Command(filepath.Join(c.bin, "etcd"),
		"--name=test",
		"--data-dir="+filepath.Join(c.workdir, "etcd"),
		"--listen-client-urls=unix://"+client,
		"--advertise-client-urls=unix://client:1",
		"--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster=test="+peer,
		"--unsafe-no-fsync", // the data is thrown away; waiting for the disk only slows tests down
		"--log-level=warn",
	))
	if err != nil {
		return "", err
	}
	err = c.waitFor(p, startLimit, func() bool {
		conn, err := net.Dial("unix", client)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return "unix://" + client, err
}

// startAPIServer returns when the API server says that it is ready, and has written the admin's kubeconfig.
func (c *cluster) startAPIServer(etcd string) error {
	say("starting kube-apiserver")
	pki := filepath.Join(c.workdir, "pki")
	ca, err := writePKI(pki)
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	token := rand.Text()
	tokens := filepath.Join(c.workdir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return err
	}

	// A port that was free can be taken before the API server listens on it, so a lost race gets another try.
	for try := 1; ; try++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		p, err := c.launch("kube-apiserver", exec.Command(filepath.Join(c.bin, "kube-apiserver"),
			"--etcd-servers="+etcd,
			"--bind-address=127.0.0.1",
			"--secure-port="+strconv.Itoa(port),
			"--tls-cert-file="+filepath.Join(pki, "server.crt"),
			"--tls-private-key-file="+filepath.Join(pki, "server.key"),
			"--cert-dir="+pki,
			"--token-auth-file="+tokens,
			"--authorization-mode=RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file="+filepath.Join(pki, "service-account.key"),
			"--service-account-signing-key-file="+filepath.Join(pki, "service-account.key"),
			"--service-cluster-ip-range=10.0.0.0/24",
			"--endpoint-reconciler-type=none", // the address is a loopback one, which an Endpoints object may not hold
		))
		if err != nil {
			return err
		}
		server := fmt.Sprintf("https://127.0.0.1:%d", port)
		err = c.waitFor(p, startLimit, readyProbe(server, ca, token))
		if err == nil {
			return writeKubeconfig(c.kubeconfig, server, ca, token)
		}
		if try == 3 || !p.ended() || !strings.Contains(p.logTail(), "address already in use") {
			return err
		}
		c.components = c.components[:len(c.components)-1]
		say("port %d was taken meanwhile, trying another", port)
	}
}

func readyProbe(server string, ca []byte, token string) func() bool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	// No proxy: this is the loopback address, whatever HTTPS_PROXY says.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/readyz", nil)
		if err != nil {
			return false
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func writeKubeconfig(path, server string, ca []byte, token string) error {
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
  - name: test
    cluster:
      server: %s
      certificate-authority-data: %s
users:
  - name: admin
    user:
      token: %s
contexts:
  - name: admin
    context:
      cluster: test
      user: admin
current-context: admin
`, server, base64.StdEncoding.EncodeToString(ca), token), 0o600)
}
