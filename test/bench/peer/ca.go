package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/cert-manager/issuer-lib/api/v1alpha1"
	"github.com/cert-manager/issuer-lib/controllers/signer"
)

// authority is a self-signed CA with a P-256 key, which is gone when the process ends.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func newCA() (*authority, error) {
	key, err := pki.GenerateECPrivateKey(pki.ECCurve256)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "peer"},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}

func (*authority) check(context.Context, v1alpha1.Issuer) error { return nil }

// sign does what sample-external-issuer does: cert-manager's own code parses the CSR and signs.
func (ca *authority) sign(_ context.Context, request signer.CertificateRequestObject, _ v1alpha1.Issuer) (signer.PEMBundle, error) {
	details, err := request.GetCertificateDetails()
	if err != nil {
		return signer.PEMBundle{}, err
	}
	template, err := details.CertificateTemplate()
	if err != nil {
		return signer.PEMBundle{}, err
	}
	bundle, err := pki.SignCSRTemplate([]*x509.Certificate{ca.certificate}, ca.key, template)
	return signer.PEMBundle(bundle), err
}
