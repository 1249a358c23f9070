// A CA with an HTTP API, for tests.
module wasm-issuer.dev/test/http-ca

go 1.26.0
