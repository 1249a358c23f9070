//! Plugins in other languages, of plugins/examples, in the operator: each gets Certificates from real CFSSL servers of its
//! own, over TLS with a private CA, and says what is wrong in the contract's words.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests: what does not work shall fail, with its place"
)]

mod limits;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cfssl_fixture::{Cfssl, OTHER_AUTH_KEY};
use serde_json::{Value, json};
use wasm_issuer_e2e::certificate::{certificates, verify};
use wasm_issuer_e2e::operator::language_file;
use wasm_issuer_e2e::registry::Registry;
use wasm_issuer_e2e::{
    Csr, Kind, Object, SOON, Test, cert_manager_runs, cluster_issuer_ref, component, e2e, issuer_ref, skip,
};

const READY: &str = "True Checked: Succeeded checking the issuer";

/// A kind of Issuer, and where it has its Secrets.
struct Side<'a> {
    kind: Kind,
    home: &'a Test,
    /// The name of its Issuer.
    issuer: String,
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

impl Side<'_> {
    /// What its Issuer says for these servers. Its Secrets are written too.
    async fn spec(&self, servers: &Cfssl, config: Value) -> Value {
        let url = servers.multirootca.url();
        self.auth_key(&servers.auth_key()).await;
        let ca = json!({"stringData": {"ca.crt": servers.trusted()}});
        self.home.apply(Kind::Secret, "cfssl-ca", ca).await;
        let mut whole = json!({"url": url, "label": "primary"});
        for (field, value) in config.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        json!({
            "plugin": self.plugin,
            "config": whole,
            "authSecretName": "cfssl-auth",
            "http": {"allowedHosts": [url], "caBundleSecretName": "cfssl-ca"},
            "retry": {"minBackoff": "100ms", "maxBackoff": "1s"},
        })
    }

    async fn auth_key(&self, key: &str) {
        self.home.apply(Kind::Secret, "cfssl-auth", json!({"stringData": {"key": key}})).await;
    }

    async fn apply(&self, t: &Test, spec: Value) {
        t.apply(self.kind, &self.issuer, json!({"spec": spec})).await;
    }

    async fn ready(&self, t: &Test, ready: &str) -> Object {
        t.wait_ready(self.kind, &self.issuer, SOON, ready).await
    }

    /// Wait until the Issuer is not ready, with this in its message.
    async fn says(&self, t: &Test, wanted: &str) {
        let what = format!("not ready because of {wanted:?}");
        let says = |issuer: &Object| issuer.ready().starts_with("False") && issuer.ready().contains(wanted);
        t.wait((self.kind, &self.issuer), SOON, &what, says).await;
    }

    fn reference(&self) -> Value {
        match self.kind {
            Kind::WasmIssuer => issuer_ref(&self.issuer),
            _ => cluster_issuer_ref(&self.issuer),
        }
    }
}

/// A Certificate through cert-manager's controllers, or a request alone where they are not here. Its chain ends below the
/// root of the servers.
async fn certificate(t: &Test, side: &Side<'_>, servers: &Cfssl, name: &str) {
    let chain = if cert_manager_runs() {
        let spec = json!({
            "secretName": name,
            "issuerRef": side.reference(),
            "dnsNames": ["web.example.com"],
            "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"},
        });
        t.apply(Kind::Certificate, name, json!({"spec": spec})).await;
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
async fn works(t: &Test, side: &Side<'_>) {
    let mut servers = Cfssl::start();
    side.apply(t, side.spec(&servers, json!({})).await).await;
    side.ready(t, READY).await;
    certificate(t, side, &servers, "first").await;

    // Whose fault it is.
    side.apply(t, side.spec(&servers, json!({"url": "cfssl"})).await).await;
    side.says(t, "Failed permanently: spec.config.url is").await;
    side.apply(t, side.spec(&servers, json!({"lable": "primary"})).await).await;
    side.says(t, "lable").await;
    side.apply(t, side.spec(&servers, json!({"label": "tertiary"})).await).await;
    side.says(t, "bad label").await;
    side.apply(t, side.spec(&servers, json!({})).await).await;
    side.ready(t, READY).await;
    side.auth_key(OTHER_AUTH_KEY).await;
    side.says(t, "invalid token").await;
    side.auth_key(&servers.auth_key()).await;
    side.ready(t, READY).await;

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
        works(t, &Side { kind: Kind::WasmIssuer, home: t, issuer: name.to_owned(), plugin }).await;
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
        works(t, &Side { kind: Kind::WasmIssuer, home: t, issuer: "js".to_owned(), plugin }).await;
    });
}

#[test]
fn python_issues_from_a_registry_for_administrators() {
    let Some(wasm) = language("python") else { return };
    e2e(async |t| {
        let registry = Registry::open(&t.workdir.join("registry-python"));
        let reference = registry.push(&wasm, "python:1", &[]).expect("it is pushed");
        let (plugin, home) =
            (json!({"image": {"reference": reference}}), t.in_namespace("wasm-issuer").await);
        let issuer = format!("{}-python", t.namespace);
        works(t, &Side { kind: Kind::WasmClusterIssuer, home: &home, issuer, plugin }).await;
    });
}
