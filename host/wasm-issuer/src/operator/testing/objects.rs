//! The objects of the tests.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};
use wasm_issuer_core::issuance::GROUP;

/// Where the tests' objects are.
pub const NAMESPACE: &str = "team-a";

/// How the kind of Kubernetes' own requests is called in URLs.
pub const SIGNING_REQUESTS: &str = "certificatesigningrequests";

/// The key of every request of the tests.
pub static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().unwrap());

/// Tells an object from all others, as a URL path does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// How its kind is called in URLs.
    pub plural: String,
    /// None for a kind that is not in namespaces.
    pub namespace: Option<String>,
    /// `metadata.name`
    pub name: String,
}

impl Object {
    fn new(plural: &str, name: &str) -> Self {
        Self { plural: plural.to_owned(), namespace: Some(NAMESPACE.to_owned()), name: name.to_owned() }
    }

    /// A WasmClusterIssuer.
    pub fn cluster_issuer(name: &str) -> Self {
        Self { namespace: None, ..Self::new("wasmclusterissuers", name) }
    }

    /// The same in another namespace.
    pub fn in_namespace(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }
}

/// What the tests' requests ask for, and what their certificates say.
pub fn params() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["web.example.com".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params
}

/// An approved CertificateRequest of [`issuer`] `ca`.
pub fn request(name: &str) -> (Object, Value) {
    let csr = params().serialize_request(&*KEY).unwrap().pem().unwrap();
    let value = json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "CertificateRequest",
        "metadata": {},
        "spec": {
            "request": BASE64_STANDARD.encode(csr),
            "issuerRef": {"group": GROUP, "kind": "WasmIssuer", "name": "ca"},
        },
        "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "cert-manager.io"}]},
    });
    (Object::new("certificaterequests", name), value)
}

/// An approved CertificateSigningRequest of a signer, made by the user `jane`.
pub fn signing_request(name: &str, signer: &str) -> (Object, Value) {
    let csr = params().serialize_request(&*KEY).unwrap().pem().unwrap();
    let value = json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {},
        "spec": {
            "request": BASE64_STANDARD.encode(csr),
            "signerName": signer,
            "usages": ["digital signature", "server auth"],
            "username": "jane", "uid": "u-1", "groups": ["dev"], "extra": {"scopes": ["a", "b"]},
        },
        "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "AdminSaysSo"}]},
    });
    (Object { namespace: None, ..Object::new(SIGNING_REQUESTS, name) }, value)
}

/// A WasmIssuer whose plugin is in the ConfigMap `plugin`.
pub fn issuer(name: &str) -> (Object, Value) {
    let value = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "WasmIssuer",
        "metadata": {},
        "spec": {"plugin": {"configMap": {"name": "plugin"}}},
    });
    (Object::new("wasmissuers", name), value)
}

/// The ConfigMap of a plugin. `wasm` is what [`super::ScriptedLoader`] takes for a component.
pub fn config_map(name: &str, wasm: &str) -> (Object, Value) {
    let value = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {},
        "binaryData": {"plugin.wasm": BASE64_STANDARD.encode(wasm)},
    });
    (Object::new("configmaps", name), value)
}

/// A Secret with one key.
pub fn secret(name: &str) -> (Object, Value) {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {},
        "data": {"token": BASE64_STANDARD.encode("s3cret")},
    });
    (Object::new("secrets", name), value)
}
