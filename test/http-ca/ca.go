package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"slices"
	"time"
)

const tenYears = 10 * 365 * 24 * time.Hour

// authority is a CA certificate with its key.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// ca is a root, and below it the authority that signs what clients ask for.
type ca struct {
	root, intermediate authority
}

func newCA() (*ca, error) {
	root, err := newAuthority("http-ca root", nil)
	if err != nil {
		return nil, err
	}
	intermediate, err := newAuthority("http-ca", root)
	if err != nil {
		return nil, err
	}
	return &ca{*root, *intermediate}, nil
}

// newAuthority makes one that above has signed, or a root if there is none above.
func newAuthority(name string, above *authority) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              time.Now().Add(tenYears),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if above == nil {
		above = &authority{template, key}
	}
	certificate, err := above.sign(template, key.Public())
	return &authority{certificate, key}, err
}

// sign fills in what every certificate has.
func (a *authority) sign(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.NotBefore = serial.Add(serial, big.NewInt(1)), time.Now()
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (a *authority) pem() string {
	return encode(a.certificate)
}

func encode(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// serverCertificate is the one that this server shows.
func (c *ca) serverCertificate(ip net.IP) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	certificate, err := c.root.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "http-ca server"},
		NotAfter:    time.Now().Add(tenYears),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{ip},
	}, key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}, nil
}

// What a certificate gets of its request, as it is: key usage, subject alternative name, extended key usage.
var kept = []asn1.ObjectIdentifier{{2, 5, 29, 15}, {2, 5, 29, 17}, {2, 5, 29, 37}}

// parseRequest reads a certification request (PEM). Errors are the request's fault.
func parseRequest(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("the csr is no PEM certificate request")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return request, request.CheckSignature()
}

// issue signs a request: PEM, the leaf first.
func (c *ca) issue(request *x509.CertificateRequest, lifetime time.Duration) (string, error) {
	template := &x509.Certificate{
		RawSubject:            request.RawSubject,
		NotAfter:              time.Now().Add(lifetime),
		BasicConstraintsValid: true,
	}
	for _, extension := range request.Extensions {
		if slices.ContainsFunc(kept, extension.Id.Equal) {
			template.ExtraExtensions = append(template.ExtraExtensions, extension)
		}
	}
	leaf, err := c.intermediate.sign(template, request.PublicKey)
	if err != nil {
		return "", err
	}
	return encode(leaf) + c.intermediate.pem(), nil
}
