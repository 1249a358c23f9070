//! Plugins in other languages, of plugins/examples, in the operator: each gets Certificates from real CFSSL servers of its
//! own, over TLS with a private CA, and says what is wrong in the contract's words.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what does not work shall fail, with its place"
)]

mod limits;
mod new;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cfssl_fixture::{Cfssl, OTHER_AUTH_KEY};
use serde_json::{Value, json};
use wasm_issuer_e2e::certificate::{certificates, verify};
use wasm_issuer_e2e::operator::language_file;
use wasm_issuer_e2e::registry::Registry;
use wasm_issuer_e2e::{Csr, Kind, SOON, Side, Test, cert_manager_runs, component, e2e, skip};

/// An Issuer of one of the plugins.
struct Language {
    side: Side,
    /// Its `spec.plugin`.
    plugin: Value,
}

/// The component of a language, if its tools can be had.
fn language(name: &str) -> Option<Vec<u8>> {
    let found = std::fs::read(language_file(name)).ok();
    if found.is_none() {
        skip(&format!("plugins/examples/{name} is not built (see what test/languages.sh said)"));
    }
    found
}

impl Language {
    /// What the Issuer says for these servers. Its Secrets are written too.
    async fn spec(&self, servers: &Cfssl, config: Value) -> Value {
        let url = servers.multirootca.url();
        let mut whole = json!({"url": url, "label": "primary"});
        for (field, value) in config.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        json!({
            "plugin": self.plugin,
            "config": whole,
            "authSecretName": self.auth_key(&servers.auth_key()).await,
            "http": {
                "allowedHosts": [url],
                "caBundleSecretName": self.side.secret("ca", json!({"ca.crt": servers.trusted()})).await,
            },
            "retry": {"minBackoff": "100ms", "maxBackoff": "1s"},
        })
    }

    async fn auth_key(&self, key: &str) -> String {
        self.side.secret("auth", json!({"key": key})).await
    }

    async fn apply(&self, servers: &Cfssl, config: Value) {
        self.side.apply(self.spec(servers, config).await).await;
    }
}

/// A Certificate through cert-manager's controllers, or a request alone where they are not here. Its chain ends below the
/// root of the servers.
async fn certificate(t: &Test, side: &Side, servers: &Cfssl, name: &str) {
    let chain = if cert_manager_runs() {
        let key = json!({"algorithm": "ECDSA", "rotationPolicy": "Always"});
        let spec = json!({"dnsNames": ["web.example.com"], "privateKey": key});
        t.ask_for_certificate(name, side.reference(), spec).await;
        t.wait((Kind::Certificate, name), SOON, "ready", |it| it.ready().starts_with("True")).await;
        let secret = t.get(Kind::Secret, name).await;
        let pem = BASE64_STANDARD.decode(secret["data"]["tls.crt"].as_str().unwrap_or_default());
        certificates(&pem.expect("base64"))
    } else {
        t.approved_request(name, side.reference(), &Csr::for_host("web.example.com"), json!({})).await;
        t.issued(name).await.chain
    };
    let [intermediate, root] =
        [servers.intermediate("primary"), servers.root()].map(|pem| certificates(pem.as_bytes()));
    assert_eq!((chain.len(), &chain[1..]), (2, &intermediate[..]), "the leaf, and the CA's own");
    verify(&chain[0], &intermediate, &root);
}

/// What a plugin for CFSSL has to do, whatever it is written in.
async fn works(t: &Test, language: &Language) {
    let mut servers = Cfssl::start();
    let side = &language.side;
    language.apply(&servers, json!({})).await;
    side.ready().await;
    certificate(t, side, &servers, "first").await;

    // Whose fault it is.
    language.apply(&servers, json!({"url": "cfssl"})).await;
    side.says("Failed permanently: spec.config.url is").await;
    language.apply(&servers, json!({"lable": "primary"})).await;
    side.says("lable").await;
    language.apply(&servers, json!({"label": "tertiary"})).await;
    side.says("bad label").await;
    language.apply(&servers, json!({})).await;
    side.ready().await;
    language.auth_key(OTHER_AUTH_KEY).await;
    side.says("invalid token").await;
    language.auth_key(&servers.auth_key()).await;
    side.ready().await;

    // A server that is away is waited for.
    servers.multirootca.stop();
    t.approved_request("waits", side.reference(), &Csr::for_host("web.example.com"), json!({})).await;
    let pending = "False Pending: Failed to sign CertificateRequest, will retry: …";
    t.wait_ready(Kind::CertificateRequest, "waits", SOON, pending).await;
    servers.multirootca.start();
    t.issued("waits").await;
}

/// As a tenant who has nothing but a ConfigMap.
fn from_a_config_map(name: &str) {
    let Some(wasm) = language(name) else { return };
    e2e(async |t| {
        t.config_map("plugin", "plugin.wasm", &component::gzip(&wasm)).await;
        let plugin = json!({"configMap": {"name": "plugin"}});
        works(t, &Language { side: Side::own(t, name).await, plugin }).await;
    });
}

#[test]
fn go_issues_from_a_config_map() {
    from_a_config_map("go");
}

#[test]
fn c_issues_from_a_config_map() {
    from_a_config_map("c");
}

#[test]
fn javascript_issues_from_a_registry() {
    let Some(wasm) = language("js") else { return };
    e2e(async |t| {
        let registry = Registry::open(&t.workdir.join("registry-js"));
        let plugin =
            json!({"image": {"reference": registry.push(&wasm, "js:1", &[]).expect("it is pushed")}});
        works(t, &Language { side: Side::own(t, "js").await, plugin }).await;
    });
}

#[test]
fn python_issues_from_a_registry_for_administrators() {
    let Some(wasm) = language("python") else { return };
    e2e(async |t| {
        let registry = Registry::open(&t.workdir.join("registry-python"));
        let reference = registry.push(&wasm, "python:1", &[]).expect("it is pushed");
        let plugin = json!({"image": {"reference": reference}});
        works(t, &Language { side: Side::cluster(t, "python").await, plugin }).await;
    });
}
