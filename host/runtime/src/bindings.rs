//! The contract in `wit/`, as Rust types.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "issuer-plugin",
    imports: { default: trappable },
    exports: { default: async },
    with: {
        "wasm-issuer:plugin/secrets.secret": super::imports::secrets::SecretHandle,
        "wasm-issuer:plugin/keys.signing-key": super::imports::keys::KeyHandle,
    },
    require_store_data_send: true,
});
