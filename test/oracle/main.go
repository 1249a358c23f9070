// Command oracle says what Go makes of CSRs, certificates and CA Secrets: cert-manager's own code where its module can be
// had (see build.sh), else crypto/x509 alone. A JSON value a question on stdin, one a line in answer on stdout; the first
// line says who answers.
package main

import (
	"bufio"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
)

// question is one of the five: a CSR with the rest of its request, a certificate, a CA Secret that is to sign, a chain that a
// client is to believe, or a CertificateSigningRequest that is signed.
type question struct {
	CSR    []byte   `json:"csr"` // PEM
	IsCA   bool     `json:"isCA"`
	Usages []string `json:"usages"`

	Certificate []byte `json:"certificate"` // DER

	Secret map[string][]byte `json:"secret"` // tls.crt, tls.key, ca.crt: PEM

	Chain []byte `json:"chain"` // PEM, leaf first
	CA    []byte `json:"ca"`    // PEM, all that the client trusts

	Signed json.RawMessage `json:"signed"` // certificates.k8s.io/v1
}

// answer: the error is empty where the input is accepted. SAN is the value of the subjectAltName extension that a CSR asks
// for, Chain and CA are what a Secret's CA issuer would publish.
type answer struct {
	Error string `json:"error"`
	SAN   []byte `json:"san,omitempty"`
	Chain []byte `json:"chain,omitempty"`
	CA    []byte `json:"ca,omitempty"`
}

func main() {
	log.SetFlags(0)
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]string{"oracle": name})
	for {
		var asked question
		if err := in.Decode(&asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			log.Fatalf("oracle: %v", err)
		}
		if err := out.Encode(judge(asked)); err != nil {
			log.Fatalf("oracle: %v", err)
		}
	}
}

// requestedNames is what stands in the extensions of a CSR or of a template made of it.
func requestedNames(extensions []pkix.Extension) []byte {
	for _, extension := range extensions {
		if extension.Id.String() == "2.5.29.17" {
			return extension.Value
		}
	}
	return nil
}

func judge(asked question) (given answer) {
	var err error
	switch {
	case asked.Secret != nil:
		given.Chain, given.CA, err = signWith(asked.Secret)
	case asked.Chain != nil:
		err = verify(asked.Chain, asked.CA)
	case asked.Signed != nil:
		err = signed(asked.Signed)
	case asked.Certificate != nil:
		_, err = x509.ParseCertificate(asked.Certificate)
	default:
		given.SAN, err = sign(asked)
	}
	if err != nil {
		given = answer{Error: err.Error()}
	}
	return given
}
