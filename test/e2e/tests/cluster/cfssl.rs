//! The plugin `cfssl` in the operator, with real CFSSL servers (`test/cfssl/run.sh`), over TLS with a private CA.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use wasm_issuer_e2e::certificate::{certificates, verify};
use wasm_issuer_e2e::operator::root;
use wasm_issuer_e2e::{
    Csr, Issued, Key, Kind, Object, SOON, Test, cluster_issuer_ref, der, e2e, e2e_alone, issuer_ref,
};

const READY: &str = "True Checked: Succeeded checking the issuer";

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make test-cluster`"))
}

fn file(name: &str) -> String {
    std::fs::read_to_string(env(name)).expect("a file of test/cfssl/run.sh")
}

fn csr() -> Csr {
    Csr::new(&Key::p256()).names(&[der::dns("web.example.com"), der::ip("192.0.2.7")])
}

/// What an Issuer for one of the servers says, with its Secrets.
async fn spec(t: &Test, url: &str, config: Value) -> Value {
    t.apply(Kind::Secret, "cfssl-auth", json!({"stringData": {"key": file("CFSSL_AUTH_KEY_FILE")}})).await;
    t.apply(Kind::Secret, "cfssl-ca", json!({"stringData": {"ca.crt": file("CFSSL_CA")}})).await;
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

/// Issue, and verify what came: without a bundle CFSSL delivers the leaf alone, and its own files lead to the root.
async fn issue(t: &Test, name: &str, issuer: Value, label: &str) -> Issued {
    t.approved_request(name, issuer, &csr(), json!({})).await;
    let issued = t.issued(name).await;
    let pem = |file: &str| certificates(&std::fs::read(file).expect("a file of test/cfssl/run.sh"));
    let intermediate = format!("{}/{label}.pem", env("CFSSL_DIR"));
    verify(&issued.chain[0], &pem(&intermediate), &pem(&env("CFSSL_ROOT")));
    issued
}

async fn control(args: &[&str]) {
    let status = Command::new(root().join("test/cfssl/control.sh")).args(args).status().await;
    assert!(status.expect("test/cfssl/control.sh").success(), "{args:?}");
}

async fn says(t: &Test, name: &str, wanted: &str) -> Object {
    let what = format!("not ready because of {wanted:?}");
    t.wait((Kind::WasmIssuer, name), SOON, &what, |issuer| issuer.ready().contains(wanted)).await
}

#[test]
fn both_labels_of_a_multirootca_sign_for_both_kinds() {
    e2e(async |t| {
        let url = env("CFSSL_URL");
        for label in ["primary", "secondary"] {
            let config = json!({"label": label, "profile": "server"});
            t.ready_issuer(label, spec(t, &url, config).await).await;
            let issued = issue(t, &format!("{label}-1"), issuer_ref(label), label).await;
            assert_eq!(issued.chain.len(), 1);
            assert_eq!(issued.lifetime(), Duration::from_secs(2160 * 3600));
        }
        // Another namespace's request, and Secrets where a WasmClusterIssuer has them.
        let home = t.in_namespace("wasm-issuer").await;
        let cluster = format!("{}-cfssl", t.namespace);
        let spec = spec(&home, &url, json!({"label": "primary"})).await;
        t.apply(Kind::WasmClusterIssuer, &cluster, json!({"spec": spec})).await;
        t.wait_ready(Kind::WasmClusterIssuer, &cluster, SOON, READY).await;
        issue(t, "cluster-1", cluster_issuer_ref(&cluster), "primary").await;
    });
}

#[test]
fn a_bundle_brings_the_chain_and_the_root() {
    e2e(async |t| {
        let url = env("CFSSL_SERVE_URL");
        for bundle in [false, true] {
            let mut spec = spec(t, &url, json!({"authMode": "sign", "bundle": bundle})).await;
            spec.as_object_mut().expect("an object").remove("authSecretName");
            t.ready_issuer(&format!("bundle-{bundle}"), spec).await;
        }
        let plain = issue(t, "plain", issuer_ref("bundle-false"), "primary").await;
        assert_eq!(plain.chain.len(), 1);
        let bundled = issue(t, "bundled", issuer_ref("bundle-true"), "primary").await;
        assert_eq!((bundled.chain.len(), bundled.ca.len()), (2, 1));
        bundled.verify_chain();
    });
}

#[test]
fn a_wrong_key_or_label_is_the_issuers_fault_and_mended_by_its_secret() {
    e2e(async |t| {
        let url = env("CFSSL_URL");
        let wrong_label = spec(t, &url, json!({"label": "tertiary"})).await;
        t.issuer("label", wrong_label).await;
        says(t, "label", "label").await;

        let good = spec(t, &url, json!({"label": "primary"})).await;
        let wrong = json!({"stringData": {"key": "00112233445566778899aabbccddeeff"}});
        t.apply(Kind::Secret, "cfssl-auth", wrong).await;
        t.issuer("key", good).await;
        t.approved_request("waits", issuer_ref("key"), &csr(), json!({})).await;
        let issuer = says(t, "key", "token").await;
        assert!(!issuer.describe().contains("00112233445566778899aabbccddeeff"), "a secret in a condition");
        t.wait_ready(Kind::CertificateRequest, "waits", SOON, "False Pending: Waiting for issuer…").await;
        spec(t, &url, json!({})).await; // writes the right key
        t.issued("waits").await;
    });
}

#[test]
fn a_host_that_is_not_granted_is_denied_with_the_line_to_add() {
    e2e(async |t| {
        let url = env("CFSSL_URL");
        let mut ungranted = spec(t, &url, json!({"label": "primary"})).await;
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
    // Alone, because the servers are everybody's.
    e2e_alone(async |t, _| {
        let url = env("CFSSL_URL");
        t.ready_issuer("cfssl", spec(t, &url, json!({"label": "primary"})).await).await;
        issue(t, "before", issuer_ref("cfssl"), "primary").await;

        control(&["stop", "multirootca"]).await;
        t.approved_request("meanwhile", issuer_ref("cfssl"), &csr(), json!({})).await;
        t.wait_ready(
            Kind::CertificateRequest,
            "meanwhile",
            SOON,
            "False Pending: Failed to sign CertificateRequest, will retry: …",
        )
        .await;
        control(&["start", "multirootca"]).await;
        t.issued("meanwhile").await;

        control(&["rotate-certificate"]).await;
        issue(t, "rotated", issuer_ref("cfssl"), "primary").await;

        // A new CA of the server: the Issuer's Secret follows.
        control(&["rotate-ca"]).await;
        let began = Instant::now();
        spec(t, &url, json!({})).await;
        issue(t, "new-ca", issuer_ref("cfssl"), "primary").await;
        assert!(began.elapsed() < SOON);
    });
}
