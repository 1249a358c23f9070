//! What the tests with real components share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use wasm_issuer_core::issuance::signer::{Requester, SignRequest};
use wasm_issuer_core::x509::Csr;
use wasm_issuer_runtime::testing::AGES;
use wasm_issuer_runtime::{
    CallLimits, ComponentBytes, IssuerIdentity, IssuerMemory, Secret, SecretData, SessionInit,
};
use zeroize::Zeroizing;

/// A component that `make plugins test-plugins` built.
pub fn component(name: &str) -> ComponentBytes {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/wasm32-wasip2/plugin");
    let folder = std::env::var_os("WASM_ISSUER_PLUGINS").map_or_else(|| default.into(), PathBuf::from);
    let path = folder.join(format!("{name}.wasm"));
    ComponentBytes::new(std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run `make plugins test-plugins` first, or set WASM_ISSUER_PLUGINS",
            path.display()
        )
    }))
}

/// A session of the WasmIssuer `team-a/my-ca`, which lends its plugin nothing but time.
pub fn init(config: serde_json::Value) -> SessionInit {
    SessionInit {
        issuer: IssuerIdentity {
            kind: "WasmIssuer".into(),
            namespace: Some("team-a".into()),
            name: "my-ca".into(),
        },
        config: config.to_string().into(),
        secret: None,
        reveal: Default::default(),
        keys: Arc::default(),
        limits: patient(),
        http: Default::default(),
        observer: Arc::new(()),
        memory: IssuerMemory::unlimited().share("team-a"),
    }
}

/// Limits for what is to be done, however busy the machine is.
pub fn patient() -> CallLimits {
    CallLimits { timeout: AGES, instantiate: AGES, ..CallLimits::default() }
}

/// The Secret `team-a/auth`.
pub fn secret(values: &[(&str, &[u8])]) -> Arc<Secret> {
    let value = |(key, value): &(&str, &[u8])| ((*key).to_owned(), Zeroizing::new(value.to_vec()));
    let values = values.iter().map(value).collect();
    Secret::new(SecretData { namespace: "team-a".into(), name: "auth".into(), values })
}

/// A request for `www.example.com`.
pub fn request() -> SignRequest {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["www.example.com".into()]).unwrap();
    let csr = params.serialize_request(&key).unwrap();
    SignRequest {
        namespace: Some("team-a".into()),
        name: "www-1".into(),
        uid: "0b8a1f2c-4a55-4a43-9f06-3d4f4a8f5a10".into(),
        csr: Csr::from_pem_or_der(csr.der()).unwrap(),
        duration: Duration::from_secs(90 * 24 * 3600),
        is_ca: false,
        usages: vec!["digital signature".into(), "server auth".into()],
        annotations: vec![],
        requester: Requester::default(),
        resume: None,
    }
}
