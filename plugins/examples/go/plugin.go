// A plugin in Go: certificates from CFSSL's multirootca.
//
// The package's name is the one under which the bindings call it, and they are this module: build.sh puts both together.
package export_wasm_issuer_plugin_signer

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wit_component/wasm_issuer_plugin_secrets"
	"wit_component/wasm_issuer_plugin_types"

	. "go.bytecodealliance.org/pkg/wit/types"
)

type (
	Issuer      = wasm_issuer_plugin_types.Issuer
	Request     = wasm_issuer_plugin_types.CertificateRequest
	Certificate = wasm_issuer_plugin_types.Certificate
	Failure     = wasm_issuer_plugin_types.Failure
)

var (
	retry        = wasm_issuer_plugin_types.MakeFailureKindRetry(None[uint32]())
	permanent    = wasm_issuer_plugin_types.MakeFailureKindPermanent()
	issuersFault = wasm_issuer_plugin_types.MakeFailureKindIssuer()
)

// failure is a Failure as an error.
type failure struct{ Failure }

func (f failure) Error() string { return f.Message }

func fail(kind wasm_issuer_plugin_types.FailureKind, format string, args ...any) error {
	return failure{Failure{Kind: kind, Message: fmt.Sprintf(format, args...)}}
}

// errRefused: the CA will not sign this CSR, or could not; it has one answer for both.
var errRefused = errors.New("refused")

// result is what an exported function returns. An error of no kind is one to try again.
func result[T any](value T, err error) Result[T, Failure] {
	var told failure
	switch {
	case err == nil:
		return Ok[T, Failure](value)
	case errors.As(err, &told):
		return Err[T](told.Failure)
	default:
		return Err[T](Failure{Kind: retry, Message: err.Error()})
	}
}

// Check is what the operator calls before it believes an Issuer.
func Check(issuer Issuer) Result[Unit, Failure] {
	ca, err := caOf(issuer)
	if err == nil {
		err = ca.check()
	}
	return result(Unit{}, err)
}

// Sign is what it calls for each request.
func Sign(issuer Issuer, request Request) Result[Certificate, Failure] {
	ca, err := caOf(issuer)
	if err != nil {
		return result(Certificate{}, err)
	}
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request.Csr})
	chain, err := ca.sign(string(csr))
	return result(Certificate{Chain: chain, Ca: None[string]()}, err)
}

// ca is spec.config of the Issuer.
type ca struct {
	URL     string `json:"url"`
	Label   string `json:"label"`
	Profile string `json:"profile"`
}

func caOf(issuer Issuer) (*ca, error) {
	config := json.NewDecoder(strings.NewReader(issuer.Config))
	config.DisallowUnknownFields()
	var ca ca
	if err := config.Decode(&ca); err != nil {
		return nil, fail(permanent, "spec.config: %v", err)
	}
	if !strings.HasPrefix(ca.URL, "https://") && !strings.HasPrefix(ca.URL, "http://") {
		return nil, fail(permanent, "spec.config.url is %q: give the server's address, such as https://cfssl.pki.svc:8888", ca.URL)
	}
	return &ca, nil
}

// check tries label, profile and key. Nothing is signed: the server looks at the token before the CSR, which is none.
func (ca *ca) check() error {
	if _, err := ca.ask("info", ca.request("")); err != nil {
		return err
	}
	if _, err := ca.authsign(""); err != nil && !errors.Is(err, errRefused) {
		return err
	}
	return nil
}

// sign returns the certificate and the CA's own, PEM.
func (ca *ca) sign(csr string) (string, error) {
	leaf, err := ca.authsign(csr)
	if err != nil {
		return "", err
	}
	own, err := ca.ask("info", ca.request(""))
	return strings.TrimSpace(leaf) + "\n" + own, err
}

func (ca *ca) request(csr string) map[string]string {
	return map[string]string{"certificate_request": csr, "label": ca.Label, "profile": ca.Profile}
}

// authsign asks with a token: the HMAC of the request, which the operator makes with the key of the Secret.
func (ca *ca) authsign(csr string) (string, error) {
	request, err := json.Marshal(ca.request(csr))
	if err != nil {
		return "", err
	}
	token, err := hmac("key", request)
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	return ca.ask("authsign", map[string]string{"token": encode(token), "request": encode(request)})
}

func hmac(key string, message []byte) ([]byte, error) {
	secret := wasm_issuer_plugin_secrets.Get(key)
	if secret.IsErr() {
		return nil, fail(issuersFault, "the Secret of spec.authSecretName has no usable key %q", key)
	}
	hex := wasm_issuer_plugin_secrets.HmacKey{Encoding: wasm_issuer_plugin_secrets.EncodingHex}
	token := secret.Ok().Hmac(wasm_issuer_plugin_secrets.HashSha256, hex, [][]byte{message})
	if token.IsErr() {
		return nil, fail(issuersFault, "%q in the Secret of spec.authSecretName is no hexadecimal key", key)
	}
	return token.Ok(), nil
}

// What the server answers where the Issuer is at fault.
var faults = []string{"bad label", "invalid profile", "invalid token", "authentication required", "no authentication provider"}

// ask returns the certificate in the answer.
func (ca *ca) ask(endpoint string, body map[string]string) (string, error) {
	address := strings.TrimRight(ca.URL, "/") + "/api/v1/cfssl/" + endpoint
	text, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	status, answered, err := post(address, text)
	if err != nil {
		return "", err
	}
	var answer struct {
		Success bool
		Result  struct{ Certificate string }
		Errors  []struct{ Message string }
	}
	// What is no JSON is no success either, and told as it is.
	_ = json.Unmarshal(answered, &answer)
	if status == 200 && answer.Success {
		return answer.Result.Certificate, nil
	}
	message := string(answered[:min(len(answered), 200)])
	if len(answer.Errors) > 0 {
		message = answer.Errors[0].Message
	}
	told := fmt.Sprintf("%s: %s (HTTP %d)", address, message, status)
	switch {
	case slices.Contains(faults, message), status == 401, status == 403, status == 404:
		return "", fail(issuersFault, "%s", told)
	case status == 400:
		return "", fmt.Errorf("%s; the CA %w the CSR or failed to sign it: its log says which", told, errRefused)
	default:
		return "", fail(retry, "%s", told)
	}
}
