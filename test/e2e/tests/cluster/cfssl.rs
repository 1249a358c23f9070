//! The plugin `cfssl` in the operator, with real CFSSL servers of each test's own, over TLS with a private CA.

use std::time::Duration;

use cfssl_fixture::{Cfssl, OTHER_AUTH_KEY};
use serde_json::{Value, json};
use wasm_issuer_e2e::certificate::{certificates, verify};
use wasm_issuer_e2e::{Csr, Issued, Key, Kind, Object, SOON, Test, cluster_issuer_ref, der, e2e, issuer_ref};

const READY: &str = "True Checked: Succeeded checking the issuer";

fn csr() -> Csr {
    Csr::new(&Key::p256()).names(&[der::dns("web.example.com"), der::ip("192.0.2.7")])
}

/// What an Issuer for one of the servers says. Its Secrets are written too, as the servers are now.
async fn spec(t: &Test, servers: &Cfssl, url: &str, config: Value) -> Value {
    t.apply(Kind::Secret, "cfssl-auth", json!({"stringData": {"key": servers.auth_key()}})).await;
    t.apply(Kind::Secret, "cfssl-ca", json!({"stringData": {"ca.crt": servers.trusted()}})).await;
    let mut all = json!({"url": url});
    for (field, value) in config.as_object().into_iter().flatten() {
        all[field] = value.clone();
    }
    json!({
        "plugin": {"builtin": "cfssl"},
        "config": all,
        "authSecretName": "cfssl-auth",
        "http": {"allowedHosts": [url], "caBundleSecretName": "cfssl-ca"},
        "retry": {"minBackoff": "100ms", "maxBackoff": "1s"},
    })
}

/// Issue, and verify what came: without a bundle CFSSL delivers the leaf alone, and its CA's own certificates lead to
/// the root.
async fn issue(t: &Test, servers: &Cfssl, name: &str, issuer: Value, label: &str) -> Issued {
    t.approved_request(name, issuer, &csr(), json!({})).await;
    let issued = t.issued(name).await;
    let [intermediate, root] =
        [servers.intermediate(label), servers.root()].map(|pem| certificates(pem.as_bytes()));
    verify(&issued.chain[0], &intermediate, &root);
    issued
}

async fn says(t: &Test, name: &str, wanted: &str) -> Object {
    let what = format!("not ready because of {wanted:?}");
    t.wait((Kind::WasmIssuer, name), SOON, &what, |issuer| issuer.ready().contains(wanted)).await
}

#[test]
fn both_labels_of_a_multirootca_sign_for_both_kinds() {
    e2e(async |t| {
        let servers = Cfssl::start();
        let url = servers.multirootca.url();
        for label in ["primary", "secondary"] {
            let config = json!({"label": label, "profile": "server"});
            t.ready_issuer(label, spec(t, &servers, &url, config).await).await;
            let issued = issue(t, &servers, &format!("{label}-1"), issuer_ref(label), label).await;
            assert_eq!(issued.chain.len(), 1);
            assert_eq!(issued.lifetime(), Duration::from_secs(2160 * 3600));
        }
        // Another namespace's request, and Secrets where a WasmClusterIssuer has them.
        let home = t.in_namespace("wasm-issuer").await;
        let cluster = format!("{}-cfssl", t.namespace);
        let spec = spec(&home, &servers, &url, json!({"label": "primary"})).await;
        t.apply(Kind::WasmClusterIssuer, &cluster, json!({"spec": spec})).await;
        t.wait_ready(Kind::WasmClusterIssuer, &cluster, SOON, READY).await;
        issue(t, &servers, "cluster-1", cluster_issuer_ref(&cluster), "primary").await;
    });
}

#[test]
fn a_bundle_brings_the_chain_and_the_root() {
    e2e(async |t| {
        let servers = Cfssl::start();
        let url = servers.serve.url();
        for bundle in [false, true] {
            let mut spec = spec(t, &servers, &url, json!({"authMode": "sign", "bundle": bundle})).await;
            spec.as_object_mut().expect("an object").remove("authSecretName");
            t.ready_issuer(&format!("bundle-{bundle}"), spec).await;
        }
        let plain = issue(t, &servers, "plain", issuer_ref("bundle-false"), "primary").await;
        assert_eq!(plain.chain.len(), 1);
        let bundled = issue(t, &servers, "bundled", issuer_ref("bundle-true"), "primary").await;
        assert_eq!((bundled.chain.len(), bundled.ca.len()), (2, 1));
        bundled.verify_chain();
    });
}

#[test]
fn a_wrong_key_or_label_is_the_issuers_fault_and_mended_by_its_secret() {
    e2e(async |t| {
        let servers = Cfssl::start();
        let url = servers.multirootca.url();
        let wrong_label = spec(t, &servers, &url, json!({"label": "tertiary"})).await;
        t.issuer("label", wrong_label).await;
        says(t, "label", "label").await;

        let good = spec(t, &servers, &url, json!({"label": "primary"})).await;
        let wrong = json!({"stringData": {"key": OTHER_AUTH_KEY}});
        t.apply(Kind::Secret, "cfssl-auth", wrong).await;
        t.issuer("key", good).await;
        t.approved_request("waits", issuer_ref("key"), &csr(), json!({})).await;
        let issuer = says(t, "key", "token").await;
        assert!(!issuer.describe().contains(OTHER_AUTH_KEY), "a secret in a condition");
        t.wait_ready(Kind::CertificateRequest, "waits", SOON, "False Pending: Waiting for issuer…").await;
        spec(t, &servers, &url, json!({})).await; // writes the right key
        t.issued("waits").await;
    });
}

#[test]
fn a_host_that_is_not_granted_is_denied_with_the_line_to_add() {
    e2e(async |t| {
        let servers = Cfssl::start();
        let url = servers.multirootca.url();
        let mut ungranted = spec(t, &servers, &url, json!({"label": "primary"})).await;
        ungranted["http"]["allowedHosts"] = json!(["https://ca.example.com"]);
        t.issuer("denied", ungranted).await;
        says(t, "denied", "the Issuer does not grant it; add it to spec.http.allowedHosts").await;
        let event = format!(
            "Warning RequestDenied SyncFailed: the Issuer does not grant its plugin {url}. To allow it: \
             spec.http.allowedHosts: [\"{url}\"]"
        );
        t.wait_event(Kind::WasmIssuer, "denied", &event).await;
    });
}

#[test]
fn a_server_that_is_down_is_waited_for_and_a_rotated_certificate_is_no_trouble() {
    e2e(async |t| {
        let mut servers = Cfssl::start();
        let url = servers.multirootca.url();
        t.ready_issuer("cfssl", spec(t, &servers, &url, json!({"label": "primary"})).await).await;
        issue(t, &servers, "before", issuer_ref("cfssl"), "primary").await;

        servers.multirootca.stop();
        t.approved_request("meanwhile", issuer_ref("cfssl"), &csr(), json!({})).await;
        t.wait_ready(
            Kind::CertificateRequest,
            "meanwhile",
            SOON,
            "False Pending: Failed to sign CertificateRequest, will retry: …",
        )
        .await;
        servers.multirootca.start();
        t.issued("meanwhile").await;

        servers.rotate_certificate();
        issue(t, &servers, "rotated", issuer_ref("cfssl"), "primary").await;

        // A new CA of the server, then a new authentication key: the Issuer's Secrets follow.
        servers.rotate_ca();
        spec(t, &servers, &url, json!({})).await;
        issue(t, &servers, "new-ca", issuer_ref("cfssl"), "primary").await;
        servers.rotate_auth_key();
        spec(t, &servers, &url, json!({})).await;
        issue(t, &servers, "new-key", issuer_ref("cfssl"), "primary").await;
    });
}
