//go:build certmanager

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"log"
	"math/big"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
)

const name = "cert-manager"

var (
	root, rootKey = newRoot()
	leaf          = newLeaf()
)

// sign does what cert-manager's CA issuer does with a CertificateRequest, and returns the SAN extension's value.
func sign(asked question) ([]byte, error) {
	request := &cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{Request: asked.CSR, IsCA: asked.IsCA}}
	for _, usage := range asked.Usages {
		request.Spec.Usages = append(request.Spec.Usages, cmapi.KeyUsage(usage))
	}
	template, err := pki.CertificateTemplateFromCertificateRequest(request)
	if err != nil {
		return nil, err
	}
	_, err = pki.SignCSRTemplate([]*x509.Certificate{root}, rootKey, template)
	return requestedNames(template.ExtraExtensions), err
}

// signWith does what cert-manager's CA issuer does with its Secret (kube.SecretTLSKeyPairAndCA), for one leaf.
func signWith(secret map[string][]byte) (chain, ca []byte, err error) {
	key, err := pki.DecodePrivateKeyBytes(secret["tls.key"])
	if err != nil {
		return nil, nil, err
	}
	certs, err := pki.DecodeX509CertificateChainBytes(secret["tls.crt"])
	if err != nil {
		return nil, nil, err
	}
	if len(secret["ca.crt"]) > 0 {
		top, err := pki.DecodeX509CertificateBytes(secret["ca.crt"])
		if err != nil {
			return nil, nil, err
		}
		certs = append(certs, top)
	}
	template := *leaf
	bundle, err := pki.SignCSRTemplate(certs, key, &template)
	return bundle.ChainPEM, bundle.CAPEM, err
}

func newRoot() (*x509.Certificate, crypto.Signer) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Root"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * 365 * time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	certificate, err := x509.ParseCertificate(der)
	must(err)
	return certificate, key
}

func newLeaf() *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"web.example"}}, key)
	must(err)
	csr, err := x509.ParseCertificateRequest(der)
	must(err)
	template, err := pki.CertificateTemplateFromCSR(csr, pki.CertificateTemplateOverrideDuration(time.Hour))
	must(err)
	return template
}

func must(err error) {
	if err != nil {
		log.Fatalf("oracle: %v", err)
	}
}
