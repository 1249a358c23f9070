package export_wasm_issuer_plugin_signer

import (
	"fmt"
	"strings"

	"wit_component/wasi_http_outgoing_handler"
	http "wit_component/wasi_http_types"
	"wit_component/wasi_io_streams"

	. "go.bytecodealliance.org/pkg/wit/types"
)

// What a stream takes at once.
const chunk = 4096

// What a reader can mend, of the errors that wasi:http knows.
var reasons = map[uint8]string{
	http.ErrorCodeHttpRequestDenied:       "spec.http.allowedHosts does not grant it",
	http.ErrorCodeDestinationIpProhibited: "the operator's policy keeps its address out of reach",
	http.ErrorCodeDnsError:                "its name is not known",
	http.ErrorCodeConnectionRefused:       "connection refused",
	http.ErrorCodeTlsCertificateError:     "its certificate is not trusted: spec.http.caBundleSecretName names a Secret with its CA",
}

// post sends JSON to an address of http:// or https://, and returns whatever is answered.
func post(address string, body []byte) (status uint16, answer []byte, err error) {
	protocol, target, _ := strings.Cut(address, "://")
	authority, path, _ := strings.Cut(target, "/")
	headers := http.MakeFields()
	headers.Append("content-type", []byte("application/json"))
	request := http.MakeOutgoingRequest(headers)
	scheme := http.MakeSchemeHttps()
	if protocol == "http" {
		scheme = http.MakeSchemeHttp()
	}
	request.SetMethod(http.MakeMethodPost())
	request.SetScheme(Some(scheme))
	request.SetAuthority(Some(authority))
	request.SetPathWithQuery(Some("/" + path))
	outgoing := request.Body().Ok()
	handled := wasi_http_outgoing_handler.Handle(request, None[*http.RequestOptions]())
	if handled.IsErr() {
		return 0, nil, unreachable(address, handled.Err())
	}
	if err := write(outgoing, body); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", address, err)
	}
	future := handled.Ok()
	pollable := future.Subscribe()
	pollable.Block()
	pollable.Drop()
	// It is there, and is asked for once.
	got := future.Get().Some().Ok()
	if got.IsErr() {
		return 0, nil, unreachable(address, got.Err())
	}
	response := got.Ok()
	answer, err = read(response.Consume().Ok())
	return response.Status(), answer, err
}

func unreachable(address string, code http.ErrorCode) error {
	reason, isKnown := reasons[code.Tag()]
	if !isKnown {
		reason = fmt.Sprintf("error %d of wasi:http", code.Tag())
	}
	return fail(retry, "%s: %s", address, reason)
}

func write(body *http.OutgoingBody, content []byte) error {
	stream := body.Write().Ok()
	for len(content) > 0 {
		part := content[:min(len(content), chunk)]
		if stream.BlockingWriteAndFlush(part).IsErr() {
			return fmt.Errorf("the connection broke off")
		}
		content = content[len(part):]
	}
	stream.Drop()
	if http.OutgoingBodyFinish(body, None[*http.Fields]()).IsErr() {
		return fmt.Errorf("the connection broke off")
	}
	return nil
}

// read returns all of a body, of which the operator lets no more than 4 MiB through.
func read(body *http.IncomingBody) ([]byte, error) {
	stream := body.Stream().Ok()
	defer stream.Drop()
	var content []byte
	for {
		part := stream.BlockingRead(64 << 10)
		if part.IsErr() {
			if part.Err().Tag() == wasi_io_streams.StreamErrorClosed {
				return content, nil
			}
			return nil, fmt.Errorf("the answer broke off")
		}
		content = append(content, part.Ok()...)
	}
}
