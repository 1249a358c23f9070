//go:build certmanager

package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
	certificatesv1 "k8s.io/api/certificates/v1"
)

// signed compares the certificate of a CertificateSigningRequest with what cert-manager's own CA signer makes of it, but for
// who signs and when. The chain must be one that cert-manager would publish.
func signed(object json.RawMessage) error {
	var request certificatesv1.CertificateSigningRequest
	if err := json.Unmarshal(object, &request); err != nil {
		return err
	}
	if _, err := pki.ParseSingleCertificateChainPEM(request.Status.Certificate); err != nil {
		return err
	}
	leaf, err := pki.DecodeX509CertificateBytes(request.Status.Certificate)
	if err != nil {
		return err
	}
	csr, err := pki.DecodeX509CertificateRequestBytes(request.Spec.Request)
	if err != nil {
		return err
	}
	matches, err := pki.PublicKeyMatchesCSR(leaf.PublicKey, csr)
	if err == nil && !matches {
		err = errors.New("the certificate has another key than the CSR")
	}
	if err != nil {
		return err
	}
	wanted, err := pki.CertificateTemplateFromCertificateSigningRequest(&request)
	if err != nil {
		return err
	}
	return errors.Join(
		differ("the subject", leaf.RawSubject, wanted.RawSubject),
		differ("the names", requestedNames(leaf.Extensions), requestedNames(wanted.ExtraExtensions)),
		differ("isCA", leaf.IsCA, wanted.IsCA),
		differ("the key usage", leaf.KeyUsage, wanted.KeyUsage),
		differ("the extended usages", sorted(leaf), sorted(wanted)),
		differ("the lifetime", lifetime(leaf), lifetime(wanted)),
	)
}

// lifetime is in whole seconds, as the times in certificates are.
func lifetime(certificate *x509.Certificate) time.Duration {
	return certificate.NotAfter.Sub(certificate.NotBefore).Round(time.Second)
}

func differ(what string, is, wanted any) error {
	if fmt.Sprint(is) == fmt.Sprint(wanted) {
		return nil
	}
	return fmt.Errorf("%s: %v, where cert-manager makes it %v", what, is, wanted)
}

func sorted(certificate *x509.Certificate) []x509.ExtKeyUsage {
	usages := slices.Clone(certificate.ExtKeyUsage)
	slices.Sort(usages)
	return usages
}
