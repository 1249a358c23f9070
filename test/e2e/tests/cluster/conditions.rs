//! What a request's status says on its way, word by word, and when.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use kube::api::WatchEvent;
use serde_json::{Value, json};
use tokio::time::sleep;
use wasm_issuer_e2e::keys::Ca;
use wasm_issuer_e2e::{Csr, Kind, Object, SOON, Test, cert_manager_runs, e2e, issuer_ref, skip};

pub const REQUEST: Kind = Kind::CertificateRequest;
pub const DENIED: &str = "Detected that the CertificateRequest is denied, so it will never be Ready.";
pub const ISSUED: &str = "True Issued: Succeeded signing the CertificateRequest";
const BUSY: &str = "Failed to sign CertificateRequest, will retry: the CA is busy";

/// An approved request to an issuer with the hostile plugin, when its status has come to rest.
async fn ask_hostile(t: &Test, config: Value) -> Object {
    t.hostile_issuer("ca", config).await;
    t.approved_request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
    t.settled(REQUEST, "web").await
}

/// What a request's Ready condition said on its way to the certificate, each once.
pub async fn ready_until_issued(changes: impl Stream<Item = WatchEvent<Value>>) -> Vec<String> {
    let mut seen: Vec<String> = vec![];
    let mut changes = pin!(changes.take_until(sleep(SOON)));
    while seen.last().is_none_or(|ready| ready != ISSUED) {
        match changes.next().await.expect("the request is issued") {
            WatchEvent::Modified(request) => seen.push(Object(request).ready()),
            _ => continue,
        }
        seen.retain(|ready| !ready.is_empty());
        seen.dedup();
    }
    seen
}

/// Make the plugin of [`ask_hostile`] behave.
async fn mend(t: &Test) {
    t.hostile_issuer("ca", json!({"behaviour": "good"})).await;
}

#[test]
fn a_request_that_is_not_approved_is_left_alone() {
    if cert_manager_runs() {
        return skip("cert-manager's approver approves everything here");
    }
    e2e(async |t| {
        t.hostile_issuer("ca", json!({"behaviour": "good"})).await;
        let request = t.request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let version = request.meta("resourceVersion");
        assert_eq!(t.count_changes(REQUEST, "web", version, Duration::from_secs(1)).await, 0);
        assert_eq!(t.events(REQUEST, "web").await, Vec::<String>::new());
    });
}

#[test]
fn a_request_that_is_only_denied_fails_at_once() {
    e2e(async |t| {
        // Whether there is an issuer makes no difference.
        for (name, also_approved) in [("denied", false), ("both", true)] {
            t.request(name, issuer_ref("nowhere"), &Csr::for_host("a.example"), json!({})).await;
            if also_approved {
                t.approve(name).await;
            }
            t.deny(name).await;
            let request = t.wait_ready(REQUEST, name, SOON, &format!("False Denied: {DENIED}")).await;
            assert!(request["status"]["failureTime"].is_string());
            t.wait_event(REQUEST, name, &format!("Warning PermanentError SyncFailed: {DENIED}")).await;
        }
    });
}

#[test]
fn requests_for_other_issuers_are_left_alone() {
    e2e(async |t| {
        t.hostile_issuer("ca", json!({"behaviour": "good"})).await;
        let references = [
            ("own", json!({"group": "cert-manager.io", "kind": "Issuer", "name": "ca"})),
            ("default", json!({"name": "ca"})),
            ("sibling", json!({"group": "step.wasm-issuer.dev", "kind": "WasmIssuer", "name": "ca"})),
        ];
        for (name, reference) in &references {
            t.approved_request(name, reference.clone(), &Csr::for_host("a.example"), json!({})).await;
        }
        sleep(Duration::from_secs(1)).await;
        for (name, _) in references {
            assert_eq!(t.get(REQUEST, name).await.condition_types(), ["Approved"]);
        }
    });
}

#[test]
fn a_request_waits_for_its_issuer_to_be_created() {
    e2e(async |t| {
        t.approved_request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let waiting = r#"WasmIssuer.wasm-issuer.dev "ca" not found. Waiting for it to be created."#;
        t.wait_ready(REQUEST, "web", SOON, &format!("False Pending: {waiting}")).await;
        t.wait_event(REQUEST, "web", &format!("Normal WaitingForIssuerExist Synced: {waiting}")).await;

        let odd = json!({"group": "wasm-issuer.dev", "kind": "Issuer", "name": "ca"});
        t.approved_request("odd", odd, &Csr::for_host("a.example"), json!({})).await;
        let none = r#"False Pending: wasm-issuer.dev has no kind "Issuer" with an object "ca".…"#;
        t.wait_ready(REQUEST, "odd", SOON, none).await;

        t.issuer("ca", json!({"plugin": {"builtin": "in-memory-ca"}})).await;
        t.wait_ready(REQUEST, "web", SOON, ISSUED).await;
    });
}

#[test]
fn a_request_waits_for_its_issuer_to_become_ready() {
    e2e(async |t| {
        let spec = json!({"plugin": {"builtin": "in-memory-ca"}, "authSecretName": "keys"});
        t.issuer("ca", spec.clone()).await;
        let missing = format!(r#"Secret "{}/keys" not found (named by spec.authSecretName)"#, t.namespace);
        t.wait_ready(Kind::WasmIssuer, "ca", SOON, &format!("False Pending: Not ready yet: {missing}")).await;
        t.wait_event(
            Kind::WasmIssuer,
            "ca",
            &format!("Warning RetryableError SyncFailed: Not ready yet: {missing}"),
        )
        .await;

        t.approved_request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let waiting = format!(
            r#"Waiting for issuer to become ready. Current issuer ready condition is "Pending": Not ready yet: {missing}."#
        );
        t.wait_ready(REQUEST, "web", SOON, &format!("False Pending: {waiting}")).await;
        t.wait_event(REQUEST, "web", &format!("Normal WaitingForIssuerReady Synced: {waiting}")).await;

        t.delete(Kind::WasmIssuer, "ca").await;
        let gone =
            r#"False Pending: WasmIssuer.wasm-issuer.dev "ca" not found. Waiting for it to be created."#;
        t.wait_ready(REQUEST, "web", SOON, gone).await;

        t.issuer("ca", spec).await;
        t.wait_ready(REQUEST, "web", SOON, &format!("False Pending: {waiting}")).await;
        let root = Ca::root("root", wasm_issuer_e2e::KeyKind::P256);
        t.tls_secret("keys", &root.certificate, &root.key.pem()).await;
        t.wait_ready(REQUEST, "web", SOON, ISSUED).await;
    });
}

#[test]
fn a_passing_error_is_retried_until_it_has_passed() {
    e2e(async |t| {
        let began = Instant::now();
        let request = ask_hostile(t, json!({"behaviour": "retry"})).await;
        assert!(
            request.ready().starts_with(&format!("False Pending: {BUSY} (tried until ")),
            "{}",
            request.ready()
        );
        assert_eq!(request["status"].get("failureTime"), None);
        t.wait_event(REQUEST, "web", &format!("Warning RetryableError SyncFailed: {BUSY}")).await;
        let tries = async || t.event_count(REQUEST, "web", "RetryableError").await;
        while tries().await < 3 {
            assert!(began.elapsed() < SOON, "it is not tried again");
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_secs(1)).await;
        let tries = tries().await;
        // From 100 ms doubled to 1 s, each a fifth less at the least: four short pauses, then no more than one in 0.8 s.
        // A second approver may have been the reason for one more.
        let most = 6.0 + began.elapsed().as_secs_f64() / 0.8;
        assert!(tries as f64 <= most, "{tries} tries, {most:.1} at the most");
        assert_eq!(t.events(REQUEST, "web").await.len(), 1, "a repeated Event is counted");
        mend(t).await;
        t.issued("web").await;
    });
}

#[test]
fn a_ca_that_says_when_to_come_back_is_left_alone_until_then() {
    e2e(async |t| {
        let began = Instant::now();
        ask_hostile(t, json!({"behaviour": "retry-after", "seconds": 10})).await;
        t.wait_event(REQUEST, "web", &format!("Warning RetryableError SyncFailed: {BUSY}")).await;
        let tries = async || t.event_count(REQUEST, "web", "RetryableError").await;
        sleep(Duration::from_secs(3)).await;
        // Without the CA's wish there would be four by now. A second approver may have been the reason for a second one.
        let first = tries().await;
        assert!(began.elapsed() > Duration::from_secs(10) || (1..=2).contains(&first), "{first} tries");
        while tries().await == first {
            assert!(began.elapsed() < SOON, "it is not tried again");
            sleep(Duration::from_millis(100)).await;
        }
        assert!(began.elapsed() > Duration::from_secs(10), "tried again after {:?}", began.elapsed());
    });
}

#[test]
fn retries_end_after_the_issuers_maximum() {
    e2e(async |t| {
        let retry = json!({"maxDuration": "1s", "minBackoff": "100ms", "maxBackoff": "1s"});
        let spec =
            json!({"plugin": {"builtin": "hostile"}, "config": {"behaviour": "retry"}, "retry": retry});
        t.ready_issuer("ca", spec).await;
        t.approved_request("web", issuer_ref("ca"), &Csr::for_host("a.example"), json!({})).await;
        let failed = "Failed permanently to sign CertificateRequest: the CA is busy";
        t.wait_ready(REQUEST, "web", SOON, &format!("False Failed: {failed}")).await;
        t.wait_event(REQUEST, "web", &format!("Warning RetryableError SyncFailed: {BUSY}")).await;
    });
}

#[test]
fn a_permanent_error_fails_the_request_at_once() {
    e2e(async |t| {
        let request = ask_hostile(t, json!({"behaviour": "permanent"})).await;
        let failed = "Failed permanently to sign CertificateRequest: the CA refuses";
        assert_eq!(request.ready(), format!("False Failed: {failed}"));
        assert!(request["status"]["failureTime"].is_string());
        t.wait_event(REQUEST, "web", &format!("Warning PermanentError SyncFailed: {failed}")).await;
    });
}

#[test]
fn a_plugins_condition_is_set_besides() {
    e2e(async |t| {
        let request = ask_hostile(t, json!({"behaviour": "condition"})).await;
        let failed = "Failed permanently to sign CertificateRequest: the CA cannot read the request";
        assert_eq!(request.ready(), format!("False Failed: {failed}"));
        assert_eq!(request.condition_types(), ["Approved", "InvalidRequest", "Ready"]);
        assert_eq!(request.says("InvalidRequest"), "True InvalidRequest: the CA cannot read the request");
    });
}

#[test]
fn an_issuer_that_checks_well_and_signs_badly_does_not_flap() {
    e2e(async |t| {
        let issuer = t.hostile_issuer("ca", json!({"behaviour": "issuer-error"})).await;
        let csr = Csr::for_host("a.example");
        let approved = t.approved_request("web", issuer_ref("ca"), &csr, json!({})).await;
        // One request alone is not believed.
        for name in ["web-2", "web-3"] {
            t.approved_request(name, issuer_ref("ca"), &csr, json!({})).await;
        }
        let time = Duration::from_secs(10);
        let (issuer_writes, request_writes, ()) = futures::join!(
            t.count_changes(Kind::WasmIssuer, "ca", issuer.meta("resourceVersion"), time),
            t.count_changes(REQUEST, "web", approved.meta("resourceVersion"), time),
            async {
                let waiting = r#"False Pending: Waiting for issuer to become ready. Current issuer ready condition is "Pending": Not ready yet: the CA refuses the credentials."#;
                t.wait_ready(REQUEST, "web", SOON, waiting).await;
                let ready = "False Pending: Not ready yet: the CA refuses the credentials";
                t.wait_ready(Kind::WasmIssuer, "ca", SOON, ready).await;
            }
        );
        assert!(issuer_writes <= 8, "the issuer was written {issuer_writes} times in 10 s");
        assert!(request_writes <= 8, "the request was written {request_writes} times in 10 s");
        mend(t).await;
        for name in ["web", "web-2", "web-3"] {
            t.issued(name).await;
        }
    });
}

#[test]
fn text_of_a_plugin_is_no_format() {
    e2e(async |t| {
        let request = ask_hostile(t, json!({"behaviour": "percent-message"})).await;
        let message =
            "Failed to sign CertificateRequest, will retry: quota 100%full %s %d %!f(MISSING) {} {0}";
        assert!(
            request.ready().starts_with(&format!("False Pending: {message} (tried until ")),
            "{}",
            request.ready()
        );
        t.wait_event(REQUEST, "web", &format!("Warning RetryableError SyncFailed: {message}")).await;
    });
}

#[test]
fn a_long_message_is_cut_and_harmless_on_a_terminal() {
    e2e(async |t| {
        let request = ask_hostile(t, json!({"behaviour": "long-message"})).await;
        let message = request.condition("Ready").unwrap()["message"].as_str().unwrap();
        let start = "Failed to sign CertificateRequest, will retry: [31mred [0m next line é [31mred";
        assert!(message.starts_with(start) && message.contains("... (tried until "), "{message}");
        assert!(message.len() <= 4096 && !message.contains(char::is_control), "{}", message.len());
        t.wait_event(REQUEST, "web", &format!("Warning RetryableError SyncFailed: {start}…")).await;
        let note = t.events(REQUEST, "web").await.swap_remove(0);
        assert!(note.contains(start) && note.len() < 1100 && !note.contains(char::is_control), "{note}");
        assert!(t.log().iter().all(|line| line.len() < 8192 && !line.contains(char::is_control)));
    });
}
