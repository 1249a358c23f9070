//! The contract in `wit/`, as Rust types.

use std::sync::Arc;

use wasm_issuer_core::keys::PrivateKey;

use super::secret::SecretValue;

/// What is behind a plugin's `signing-key`.
pub type KeyHandle = Arc<PrivateKey>;
/// What is behind a plugin's `secret`.
pub type SecretHandle = SecretValue;

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "issuer-plugin",
    imports: {
        // They may take a thread of their own.
        "wasm-issuer:plugin/certificates.judge": async | trappable,
        "wasm-issuer:plugin/keys.[method]signing-key.sign": async | trappable,
        "wasm-issuer:plugin/secrets.[method]secret.encrypted-signing-key": async | trappable,
        "wasm-issuer:plugin/keys.[method]signing-key.sign-jws": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "wasm-issuer:plugin/secrets.secret": crate::bindings::SecretHandle,
        "wasm-issuer:plugin/keys.signing-key": crate::bindings::KeyHandle,
    },
    require_store_data_send: true,
});

/// What a plugin may export besides.
pub mod description {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package wasm-issuer:host; world described { export wasm-issuer:plugin/description@0.1.0; }",
        world: "wasm-issuer:host/described",
        exports: { default: async },
        require_store_data_send: true,
    });

    pub use exports::wasm_issuer::plugin::description::{Description, Place, SecretKey, Server};
}
