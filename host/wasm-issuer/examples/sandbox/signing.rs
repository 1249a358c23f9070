//! Calls that check and sign.

use std::sync::Arc;

use cfssl_fixture::Cfssl;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, RsaKeySize};
use serde_json::{Value, json};
use wasm_issuer_core::issuance::verify::{TrustedCas, Verification, verify};
use wasm_issuer_core::x509::Csr;
use wasm_issuer_runtime::{Account, Plugin, Runtime, RuntimeConfig, Session, SessionInit};

use crate::cfssl::issuer;
use crate::support::{component, init, request, secret};
use crate::{Effort, Row, Unit};

fn row(what: &str) -> Row<'_> {
    Row { what, unit: Unit::Microseconds, is_native: false }
}

pub async fn rows(effort: Effort) {
    let runtime = Runtime::new(RuntimeConfig::default()).expect("a runtime");
    let plugin = load(&runtime, "in_memory_ca").await;
    let refused = session(json!({"unknown": 1}), &[]);
    // `check` would not get there: the host refuses such a configuration by what the plugin says of itself.
    let request = request();
    let instantiate = async || drop(plugin.sign(&refused, &request).await.expect_err("a bad config"));
    row("a fresh instance (a call that ends at its config)").measure_calls(effort, instantiate).await;

    for (what, key) in keys() {
        sign(effort, &plugin, what, &key).await;
    }
    through_http(effort, &load(&runtime, "cfssl").await).await;
}

async fn load(runtime: &Arc<Runtime>, name: &str) -> Arc<Plugin> {
    runtime.load(component(name), &Account::administrators()).await.expect("a plugin")
}

fn session(config: Value, values: &[(&str, &[u8])]) -> Arc<Session> {
    let secret = (!values.is_empty()).then(|| secret(values));
    Session::new(SessionInit { secret, ..init(config) })
}

fn keys() -> [(&'static str, KeyPair); 3] {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).expect("a key");
    let p256 = KeyPair::generate().expect("a key");
    [("P-256", p256), ("RSA 2048", rsa(RsaKeySize::_2048)), ("RSA 4096", rsa(RsaKeySize::_4096))]
}

/// With a CA key in a Secret, as an Issuer has it.
async fn sign(effort: Effort, plugin: &Arc<Plugin>, key_kind: &str, key: &KeyPair) {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "sandbox");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = ca.self_signed(key).expect("a root").pem();
    let (issuer, private) = (Issuer::from_params(&ca, key), key.serialize_pem());
    let values = [("tls.crt", certificate.as_bytes()), ("tls.key", private.as_bytes())];
    let (session, request) = (session(json!({}), &values), request());

    let what = format!("sign with {key_kind}");
    let leaf = CertificateParams::new(["www.example.com".to_owned()]).expect("a name");
    let of = KeyPair::generate().expect("a key");
    let native = || drop(leaf.clone().signed_by(&of, &issuer).expect("a leaf").pem());
    Row { is_native: true, ..row(&what) }.measure(effort, native);
    let call = async || drop(plugin.sign(&session, &request).await.expect("a certificate"));
    row(&what).measure_calls(effort, call).await;

    if key_kind != "P-256" {
        return;
    }
    let check = async || plugin.check(&session).await.expect("a check");
    row("check with P-256").measure_calls(effort, check).await;
    let signed = plugin.sign(&session, &request).await.expect("a certificate");
    let csr = request.csr.der().to_vec();
    row("the host's checks: of a CSR").measure(effort, || drop(Csr::from_pem_or_der(&csr).expect("a CSR")));
    let (trusted, rules) = (TrustedCas::among([certificate.as_bytes()]), Verification::default());
    let judge =
        || drop(verify(&request, &signed, &trusted, Timestamp::now(), &rules).expect("a good answer"));
    row("the host's checks: of a chain").measure(effort, judge);
}

async fn through_http(effort: Effort, plugin: &Arc<Plugin>) {
    let cfssl = Cfssl::start();
    let (session, request) = (Session::new(issuer(&cfssl)), request());
    let call = async || drop(plugin.sign(&session, &request).await.expect("a certificate"));
    let row = Row { unit: Unit::Milliseconds, ..row("sign through HTTPS to CFSSL on loopback") };
    row.measure_calls(effort, call).await;
}
