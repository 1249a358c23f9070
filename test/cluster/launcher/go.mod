module wasm-issuer.dev/test/cluster/launcher

go 1.26.0
