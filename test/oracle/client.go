package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// verify does what a client does that trusts the CA certificates and has been shown the chain, for whatever the leaf says
// that it is for.
func verify(chain, ca []byte) error {
	certificates, err := parse(chain)
	if err != nil {
		return err
	}
	trusted, err := parse(ca)
	if err != nil {
		return err
	}
	leaf, intermediates := certificates[0], certificates[1:]
	options := x509.VerifyOptions{Roots: pool(trusted), Intermediates: pool(intermediates), KeyUsages: leaf.ExtKeyUsage}
	if len(leaf.ExtKeyUsage) == 0 {
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	_, err = leaf.Verify(options)
	return err
}

func parse(text []byte) (certificates []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	if certificates == nil {
		return nil, errors.New("no certificate")
	}
	return certificates, nil
}

func pool(certificates []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool
}
